"""The full-screen app: a fold over events, in Textual."""
