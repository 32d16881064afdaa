"""What a tokenizer file says, whatever its format: the input of the encoders.

Readers: ``gguf`` and ``hf``. Encoders: ``byte_level`` (tiktoken) and ``library`` (tokenizers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedToken:
    """A token that is matched as a whole before the text is split any further."""

    id: int
    text: str
    is_control: bool
    """Control tokens never come from text; the others (Qwen's ``<tool_call>``) do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteLevelSpec:
    """Byte-level BPE (GPT-2's kind): Rnj-1, Llama 3, Qwen2, SmolLM2."""

    vocab: Mapping[str, int]
    """Tokens in the byte alphabet of ``byte_level`` (a space is ``Ġ``), without added tokens."""
    merges: Sequence[str]
    """``"left right"`` in order of rank."""
    pattern: str
    """The regular expression that cuts text into the pieces inside which merges happen."""
    normalize_nfc: bool
    ignore_merges: bool
    """A piece that is a token as it stands is taken whole, merges or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencePieceSpec:
    """BPE over characters with byte fallback (Gemma's kind): GGUF's ``llama`` tokenizer model."""

    vocab: Mapping[str, int]
    """All tokens; a space is ``▁``, a byte is ``<0x0A>``."""
    scores: Sequence[float]
    """By id; of two possible merges, that with the higher score of the result comes first."""
    unknown_token: str
    add_space_prefix: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySpec:
    """A tokenizer.json that only the ``tokenizers`` library knows how to run."""

    json_text: str


ModelSpec: TypeAlias = ByteLevelSpec | SentencePieceSpec | LibrarySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSpec:
    model: ModelSpec
    added_tokens: Sequence[AddedToken]
    token_bytes: Sequence[bytes]
    """By id: what each token stands for in the text; control tokens spell themselves."""
    bos_id: int | None
    add_bos: bool
    """Whether the model was trained with every text beginning with ``bos_id``."""
    eos_ids: frozenset[int] = field(default_factory=frozenset)
    """Tokens that end a turn."""
