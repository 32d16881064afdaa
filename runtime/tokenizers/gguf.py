"""Reads a tokenizer out of GGUF metadata.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, section "GGML tokenizer".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TypeVar, cast

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.tokenizers.end_of_turn import END_OF_TURN
from rnj_agent.runtime.tokenizers.patterns import PRE_TOKENIZERS, PreTokenizer
from rnj_agent.runtime.tokenizers.spec import (
    AddedToken,
    ByteLevelSpec,
    ModelSpec,
    SentencePieceSpec,
    TokenizerSpec,
)
from rnj_agent.runtime.tokenizers.token_bytes import SPACE, byte_level_bytes, sentencepiece_bytes

T = TypeVar("T")

PREFIX = "tokenizer.ggml."


class TokenType(IntEnum):
    """``llama_token_type``."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


ADDED_TYPES = (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED)


def spec_from_gguf(metadata: Mapping[str, object]) -> TokenizerSpec:
    """The tokenizer that the metadata describes.

    Raises:
        TokenizerError: something is missing, inconsistent, or of a kind unknown here.
    """
    fields = _Fields(metadata)
    tokens = fields.strings("tokens")
    types = fields.list_of("token_type", int) or [TokenType.NORMAL] * len(tokens)
    if len(types) != len(tokens):
        raise TokenizerError(f"the file has {len(tokens)} tokens but {len(types)} token types")
    added_tokens = added_tokens_of(tokens, types)
    match fields.one("model", str):
        case "gpt2":
            pre = _pre_tokenizer(fields)
            model: ModelSpec = _byte_level(fields, pre, tokens, added_tokens)
            token_bytes = [byte_level_bytes(token) for token in tokens]
            add_bos = pre.add_bos
        case "llama":
            model = _sentencepiece(fields, tokens)
            token_bytes = [sentencepiece_bytes(token) for token in tokens]
            add_bos = True
        case other:
            raise TokenizerError(
                f"the file has a tokenizer of kind {other!r}; this runtime reads 'gpt2' "
                "(byte-level BPE) and 'llama' (SentencePiece BPE)"
            )
    for token in added_tokens:
        token_bytes[token.id] = token.text.encode()
    stated_add_bos = fields.optional("add_bos_token", bool)
    return TokenizerSpec(
        model=model,
        added_tokens=added_tokens,
        token_bytes=token_bytes,
        bos_id=fields.token_id("bos_token_id"),
        add_bos=add_bos if stated_add_bos is None else stated_add_bos,
        eos_ids=_eos_ids(fields, added_tokens),
    )


def added_tokens_of(tokens: Sequence[str], types: Sequence[int]) -> list[AddedToken]:
    return [
        AddedToken(id=index, text=token, is_control=kind != TokenType.USER_DEFINED)
        for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in ADDED_TYPES and token
    ]


def _pre_tokenizer(fields: _Fields) -> PreTokenizer:
    name = fields.one("pre", str)
    if name not in PRE_TOKENIZERS:
        known = ", ".join(sorted(PRE_TOKENIZERS))
        raise TokenizerError(
            f"the file's pre-tokenizer {name!r} is unknown here (known: {known})",
            hint="use the model's safetensors folder, whose tokenizer.json says how it splits text",
        )
    return PRE_TOKENIZERS[name]


def _byte_level(
    fields: _Fields, pre: PreTokenizer, tokens: Sequence[str], added_tokens: Sequence[AddedToken]
) -> ByteLevelSpec:
    vocab = {token: index for index, token in enumerate(tokens)}
    for token in added_tokens:
        del vocab[token.text]
    return ByteLevelSpec(
        vocab=vocab,
        merges=fields.strings("merges"),
        pattern=pre.pattern,
        normalize_nfc=pre.normalize_nfc,
        ignore_merges=pre.ignore_merges,
    )


def _sentencepiece(fields: _Fields, tokens: Sequence[str]) -> SentencePieceSpec:
    scores = fields.list_of("scores", float)
    unknown_id = fields.token_id("unknown_token_id")
    if len(scores) != len(tokens) or unknown_id is None:
        raise TokenizerError("a SentencePiece tokenizer needs a score a token and an unknown token")
    add_space_prefix = fields.optional("add_space_prefix", bool)
    return SentencePieceSpec(
        # GGUF files write the spaces of user-defined tokens (Gemma's runs of spaces) as spaces
        vocab={token.replace(" ", SPACE): index for index, token in enumerate(tokens)},
        scores=scores,
        unknown_token=tokens[unknown_id],
        add_space_prefix=True if add_space_prefix is None else add_space_prefix,
    )


def _eos_ids(fields: _Fields, added_tokens: Sequence[AddedToken]) -> frozenset[int]:
    named = {token.id for token in added_tokens if token.text in END_OF_TURN}
    stated = {fields.token_id(key) for key in ("eos_token_id", "eot_token_id", "eom_token_id")}
    return frozenset(named | {token_id for token_id in stated if token_id is not None})


class _Fields:
    """Typed access to the ``tokenizer.ggml.`` entries."""

    def __init__(self, metadata: Mapping[str, object]) -> None:
        self._metadata = metadata

    def optional(self, key: str, kind: type[T]) -> T | None:
        value = self._metadata.get(PREFIX + key)
        if value is not None and not isinstance(value, kind):
            raise TokenizerError(f"{PREFIX}{key} is not of type {kind.__name__}")
        return value

    def one(self, key: str, kind: type[T]) -> T:
        value = self.optional(key, kind)
        if value is None:
            raise TokenizerError(f"the file has no {PREFIX}{key}: it carries no usable tokenizer")
        return value

    def list_of(self, key: str, kind: type[T]) -> list[T]:
        """Empty where the entry is missing; GGUF arrays are of one type, so one item tells."""
        values = cast("list[object]", self.optional(key, list) or [])
        if values and not isinstance(values[0], kind):
            raise TokenizerError(f"{PREFIX}{key} is not a list of {kind.__name__}")
        return cast("list[T]", values)

    def strings(self, key: str) -> list[str]:
        values = self.list_of(key, str)
        if not values:
            raise TokenizerError(f"the file has no {PREFIX}{key}: it carries no usable tokenizer")
        return values

    def token_id(self, key: str) -> int | None:
        """An id inside the vocabulary; some files write -1 or 2^32 - 1 for "none"."""
        value = self.optional(key, int)
        return value if value is not None and 0 <= value < len(self.strings("tokens")) else None
