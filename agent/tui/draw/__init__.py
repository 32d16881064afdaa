"""Blocks of the conversation as lines of styled text; no Textual in here."""
