"""Several attempts at one issue at once, and which of them is taken."""
