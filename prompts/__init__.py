"""Every word the model reads, as files, loaded through importlib.resources."""
