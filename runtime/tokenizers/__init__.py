"""Readers of tokenizer files, and the two encoders behind ``runtime.tokenizer``."""
