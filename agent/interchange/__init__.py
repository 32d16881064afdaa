"""Trajectories of other agents: ours written in their form, theirs read as our events."""
