"""rnj-agent: a terminal coding agent that runs a real model on your own machine."""

__version__ = "0.1.0"
