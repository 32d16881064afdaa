"""The OpenAI HTTP API over the engine."""
