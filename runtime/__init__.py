"""The inference engine behind an OpenAI-compatible server; it imports nothing of ours."""
