"""How text is cut into pieces before merging: one regular expression for each known vocabulary.

Names are those of GGUF's ``tokenizer.ggml.pre`` (``llama_vocab`` in llama.cpp's llama-vocab.cpp);
the expressions are those of the models' own tokenizer.json. An unknown name is an error: with
a wrong expression a model still answers, only worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GPT_2 = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
    r"|\s+(?!\S)|\s+"
)
# "every digit alone, then GPT-2" as one expression: a digit ends a run of whitespace like a text's
# end does, hence the other look-ahead. Differs from the tokenizers library in 13 code points of all
# (U+11DE0-11DE9, U+16FF4-16FF6), which only the library's newer Unicode tables take for digits.
GPT_2_DIGITS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
    r"|\s+(?![^\s\p{N}])|\s+"
)
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    pattern: str
    normalize_nfc: bool = False
    ignore_merges: bool = False
    add_bos: bool = False
    """Where the file does not say."""


_LLAMA_3 = PreTokenizer(pattern=LLAMA_3, ignore_merges=True, add_bos=True)
_QWEN_2 = PreTokenizer(pattern=QWEN_2, normalize_nfc=True)
_GPT_2 = PreTokenizer(pattern=GPT_2)
_GPT_2_DIGITS = PreTokenizer(pattern=GPT_2_DIGITS)

PRE_TOKENIZERS: Mapping[str, PreTokenizer] = MappingProxyType(
    {
        "llama-bpe": _LLAMA_3,
        "llama3": _LLAMA_3,
        "llama-v3": _LLAMA_3,
        "qwen2": _QWEN_2,
        "smollm": _GPT_2_DIGITS,
        "gpt-2": _GPT_2,
    }
)
