"""Byte-level BPE through tiktoken: the fast path of Rnj-1, Llama 3, Qwen2 and SmolLM2.

tiktoken merges by the rank of the merged bytes, the ``tokenizers`` library by the rank of the pair.
Both give the same ids where a token is always built by the same last merge, which holds for
vocabularies that BPE training made: merges that come before it see the same bytes in every context.
``tests/runtime/test_tokenizer_parity.py`` checks it token by token.

The few texts that tiktoken cannot take go to the ``tokenizers`` library, built when the first
such text comes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property

import tiktoken

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.tokenizers.library import LibraryBPE, byte_level_tokenizer
from rnj_agent.runtime.tokenizers.spec import AddedToken, ByteLevelSpec
from rnj_agent.runtime.tokenizers.token_bytes import byte_alphabet, byte_level_bytes

MAX_WHITESPACE_RUN = 250_000
"""Characters. tiktoken 0.14 panics at 500,000 or more: its regex engine's stack is bounded."""

_LONG_WHITESPACE = re.compile(rf"(?<!\s)\s{{{MAX_WHITESPACE_RUN}}}")


class ByteLevelBPE:
    """Encodes plain text, added tokens that are not control tokens included.

    Raises:
        TokenizerError: the merges do not fit the vocabulary.
    """

    def __init__(self, spec: ByteLevelSpec, added_tokens: Sequence[AddedToken]) -> None:
        self._spec = spec
        self._added_ids = {
            token.text: None if token.is_control else token.id for token in added_tokens
        }
        self._added = _any_of(added_tokens)
        ranks, self._ids = _ranks(spec)
        self._missing_bytes = bytes(byte for byte in range(256) if bytes([byte]) not in ranks)
        self._encoding = tiktoken.Encoding(
            name="checkpoint", pat_str=spec.pattern, mergeable_ranks=ranks, special_tokens={}
        )

    def encode(self, text: str) -> list[int]:
        if self._added is None:
            return self._merge(text)
        ids: list[int] = []
        start = 0
        for match in self._added.finditer(text):
            # a control token's text is matched too, as in the library: it may hide a shorter one
            if (added_id := self._added_ids[match[0]]) is not None:
                ids += self._merge(text[start : match.start()])
                ids.append(added_id)
                start = match.end()
        return ids + self._merge(text[start:])

    def _merge(self, text: str) -> list[int]:
        if self._needs_library(text):
            return self._library.encode(text)
        if self._spec.normalize_nfc and not text.isascii():
            text = unicodedata.normalize("NFC", text)
        ids = self._ids
        return [ids[rank] for rank in self._encoding.encode_ordinary(text)]

    def _needs_library(self, text: str) -> bool:
        if len(text) >= MAX_WHITESPACE_RUN and _LONG_WHITESPACE.search(text):
            return True
        if not self._missing_bytes:
            return False
        # SmolLM2 has no tokens for some control characters; the library drops such bytes
        data = text.encode()
        return len(data.translate(None, self._missing_bytes)) != len(data)

    @cached_property
    def _library(self) -> LibraryBPE:
        return LibraryBPE(byte_level_tokenizer(self._spec))


def _any_of(added_tokens: Sequence[AddedToken]) -> re.Pattern[str] | None:
    """Matches the longest added token; None where only control tokens are added."""
    if all(token.is_control for token in added_tokens):
        return None
    texts = sorted((token.text for token in added_tokens), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, texts)))


def _ranks(spec: ByteLevelSpec) -> tuple[dict[bytes, int], list[int]]:
    """Ranks by merged bytes, and ids by rank. Single bytes come first: they are never merged."""
    vocab = spec.vocab
    symbols = [symbol for symbol in byte_alphabet() if symbol in vocab]
    # a token that several merges give has the rank of the first; dict keeps that position
    merged = dict.fromkeys(merge.replace(" ", "", 1) for merge in spec.merges)
    try:
        ids = [vocab[token] for token in (*symbols, *merged)]
    except KeyError as exc:
        raise TokenizerError(f"a merge gives {exc.args[0]!r}, which is no token") from exc
    ranks = {byte_level_bytes(token): rank for rank, token in enumerate((*symbols, *merged))}
    if len(ranks) != len(ids):
        raise TokenizerError("two tokens of the vocabulary stand for the same bytes")
    return ranks, ids
