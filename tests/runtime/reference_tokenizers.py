"""What ours are compared with: the ``tokenizers`` library, set up by the tests themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers.convert_slow_tokenizer import generate_merges

from rnj_agent.runtime.weights.gguf_file import GGUFFile

CONTROL_TYPES = (2, 3)
USER_DEFINED = 4
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level_reference(path: Path) -> Tokenizer:
    """Of a GGUF file with byte-level BPE, as the model's own tokenizer.json has it."""
    values: Any = GGUFFile(path).metadata
    tokens: list[str] = values["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in values["tokenizer.ggml.merges"]]
    vocab = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    match values["tokenizer.ggml.pre"]:
        case "qwen2":
            tokenizer.normalizer = normalizers.NFC()
            byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            first = pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated")
        case "smollm":
            first = pre_tokenizers.Digits(individual_digits=True)
        case other:
            raise ValueError(other)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    return _with_added(tokenizer, tokens, values["tokenizer.ggml.token_type"])


def sentencepiece_reference(path: Path) -> Tokenizer:
    """Of a GGUF file with SentencePiece BPE, merges as transformers derives them from scores."""
    values: Any = GGUFFile(path).metadata
    tokens = [token.replace(" ", "▁") for token in values["tokenizer.ggml.tokens"]]
    vocab = {token: index for index, token in enumerate(tokens)}
    scores = dict(zip(tokens, values["tokenizer.ggml.scores"], strict=True))
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=generate_merges(vocab, scores),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return _with_added(tokenizer, tokens, values["tokenizer.ggml.token_type"])


def json_reference(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _with_added(tokenizer: Tokenizer, tokens: list[str], types: list[int]) -> Tokenizer:
    pairs = list(zip(tokens, types, strict=True))
    tokenizer.add_special_tokens(
        [
            AddedToken(t, special=True, normalized=False)
            for t, kind in pairs
            if kind in CONTROL_TYPES
        ]
    )
    tokenizer.add_tokens(
        [AddedToken(t, normalized="▁" in t) for t, kind in pairs if kind == USER_DEFINED]
    )
    tokenizer.encode_special_tokens = True
    return tokenizer
