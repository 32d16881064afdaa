"""The agent: one loop that yields events, and everyone who consumes them."""
