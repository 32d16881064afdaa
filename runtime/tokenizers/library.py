"""Tokenizers run by the ``tokenizers`` library: SentencePiece kinds, and any tokenizer.json.

Slower to load than tiktoken (Gemma's 262,144 tokens: seconds), but complete.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import (
    AddedToken as LibraryToken,
)
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.tokenizers.spec import AddedToken, ByteLevelSpec, SentencePieceSpec
from rnj_agent.runtime.tokenizers.token_bytes import SPACE


class LibraryBPE:
    """Encodes plain text, added tokens that are not control tokens included."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def tokenizer_from_json(json_text: str) -> Tokenizer:
    """Raise TokenizerError where the library does not take it."""
    try:
        return Tokenizer.from_str(json_text)
    except Exception as exc:  # the library raises nothing more specific
        raise TokenizerError(f"the tokenizers library refuses the tokenizer: {exc}") from exc


def byte_level_tokenizer(spec: ByteLevelSpec) -> Tokenizer:
    """The same vocabulary as ``ByteLevelBPE`` has, without its limits."""
    tokenizer = Tokenizer(
        models.BPE(
            vocab=dict(spec.vocab),
            merges=[_pair(merge) for merge in spec.merges],
            ignore_merges=spec.ignore_merges,
        )
    )
    if spec.normalize_nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(spec.pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def sentencepiece_tokenizer(
    spec: SentencePieceSpec, added_tokens: Sequence[AddedToken]
) -> Tokenizer:
    """SentencePiece's BPE as a merge list over characters, with bytes for unknown characters."""
    tokenizer = Tokenizer(
        models.BPE(
            vocab=dict(spec.vocab),
            merges=_merges_by_score(spec),
            unk_token=spec.unknown_token,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    spaces = normalizers.Replace(" ", SPACE)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(SPACE), spaces])
        if spec.add_space_prefix
        else spaces
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokens = [_as_library_token(token) for token in added_tokens]
    tokenizer.add_special_tokens([token for token in tokens if token.special])
    tokenizer.add_tokens([token for token in tokens if not token.special])
    return tokenizer


def _as_library_token(token: AddedToken) -> LibraryToken:
    """Runs of spaces are looked for where spaces are ``▁`` already, as SentencePiece does."""
    return LibraryToken(
        token.text.replace(" ", SPACE), special=token.is_control, normalized=" " in token.text
    )


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _merges_by_score(spec: SentencePieceSpec) -> list[tuple[str, str]]:
    """Every way to split a token into two tokens, the best results first.

    SentencePiece merges the pair whose result scores highest; the result decides, not the pair.
    """
    vocab, scores = spec.vocab, spec.scores
    splits = [
        (-scores[token_id], len(token), at, token)
        for token, token_id in vocab.items()
        for at in range(1, len(token))
        if token[:at] in vocab and token[at:] in vocab
    ]
    splits.sort()
    return [(token[:at], token[at:]) for _, _, at, token in splits]
