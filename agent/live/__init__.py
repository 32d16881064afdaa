"""Interactive sessions: turns, commands of the person's own, undo, and what becomes of the work."""
