"""What tensors and their types are called in files: Hugging Face's names, and GGUF's types."""

from __future__ import annotations

from typing import Final

EMBEDDING: Final = "model.embed_tokens.weight"
HEAD: Final = "lm_head.weight"
PROJECTION: Final = "_proj.weight"
"""How the names of all projections end."""
PLAIN_TYPES: Final = frozenset({"F32", "F16", "BF16"})
"""GGUF's types that are numbers one by one, not blocks."""
