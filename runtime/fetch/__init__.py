"""Getting model files: one module a source, and what makes a download safe to interrupt."""
