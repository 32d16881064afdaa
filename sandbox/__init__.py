"""Where commands run: the Sandbox protocol and its implementations."""
