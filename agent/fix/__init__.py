"""Issue in, verified patch out: sources, workspace, verification and application."""
