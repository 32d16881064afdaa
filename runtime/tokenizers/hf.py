"""Reads a tokenizer.json, and what the Hugging Face files beside it say about bos and eos.

Byte-level BPE in a form that ``patterns`` knows goes to tiktoken; everything else is run by the
``tokenizers`` library as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.tokenizers.end_of_turn import END_OF_TURN
from rnj_agent.runtime.tokenizers.patterns import GPT_2, GPT_2_DIGITS, LLAMA_3, QWEN_2
from rnj_agent.runtime.tokenizers.spec import (
    AddedToken,
    ByteLevelSpec,
    LibrarySpec,
    ModelSpec,
    TokenizerSpec,
)
from rnj_agent.runtime.tokenizers.token_bytes import byte_level_bytes, sentencepiece_bytes

Json = Mapping[str, Any]

_BYTE_LEVEL: Json = {"type": "ByteLevel", "add_prefix_space": False}
_NFC: Json = {"type": "NFC"}
_SPLIT: Json = {"type": "Split", "behavior": "Isolated", "invert": False}


def spec_from_hf(path: Path) -> TokenizerSpec:
    """Read ``path`` (a tokenizer.json, or a folder that has one).

    Raises:
        TokenizerError: there is none, or it is broken.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        data = json.loads(text)
        added_tokens = _added_tokens(data["added_tokens"])
        vocab = _vocab(data["model"]["vocab"])
        model = _byte_level(data, vocab) or LibrarySpec(json_text=text)
        token_bytes = _token_bytes(vocab, added_tokens, byte_level=_is_byte_level(data))
    except FileNotFoundError as exc:
        raise TokenizerError(f"there is no {file}: the checkpoint has no tokenizer") from exc
    except OSError as exc:
        raise TokenizerError(f"cannot read {file}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise TokenizerError(f"{file} is not a tokenizer.json: {exc!r}") from exc
    return _with_ids(path, model, added_tokens, token_bytes)


def read_json(path: Path) -> Json:
    """A JSON object from a file, or an empty one where there is no such file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise TokenizerError(f"cannot read {path}: {exc}") from exc
    return cast("Json", value) if isinstance(value, dict) else {}


def _added_tokens(items: Iterable[Json]) -> list[AddedToken]:
    return [
        AddedToken(id=int(item["id"]), text=str(item["content"]), is_control=bool(item["special"]))
        for item in items
    ]


def _vocab(vocab: Json | Sequence[tuple[str, float]]) -> Mapping[str, int]:
    """Unigram models list their tokens with scores, all others map them to ids."""
    if isinstance(vocab, Mapping):
        return {str(token): int(index) for token, index in vocab.items()}
    return {str(item[0]): index for index, item in enumerate(vocab)}


def _byte_level(data: Json, vocab: Mapping[str, int]) -> ByteLevelSpec | None:
    """The model in the form that tiktoken runs; None where it is not exactly of that form."""
    model: Json = data["model"]
    pattern = _pattern(data.get("pre_tokenizer") or {})
    normalizer = data.get("normalizer")
    plain_model = model.get("type") == "BPE" and not any(
        model.get(key)
        for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    )
    # tokens with such flags need the library: their matching depends on the text around them
    plain_added = not any(
        token.get(flag)
        for token in data["added_tokens"]
        for flag in ("single_word", "lstrip", "rstrip", "normalized")
        if not token["special"]
    )
    if pattern is None or not plain_model or not plain_added or normalizer not in (None, _NFC):
        return None
    added = {token["content"] for token in data["added_tokens"]}
    return ByteLevelSpec(
        vocab={token: index for token, index in vocab.items() if token not in added},
        merges=[merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]],
        pattern=pattern,
        normalize_nfc=normalizer == _NFC,
        ignore_merges=bool(model.get("ignore_merges")),
    )


def _pattern(pre_tokenizer: Json) -> str | None:
    """The expression that does what a known pre-tokenizer does."""
    steps: Sequence[Json] = (
        pre_tokenizer["pretokenizers"]
        if pre_tokenizer.get("type") == "Sequence"
        else [pre_tokenizer]
    )
    match steps:
        case [last] if _has(last, _BYTE_LEVEL) and last.get("use_regex", True):
            return GPT_2
        case [{"type": "Digits", "individual_digits": True}, last] if _has(
            last, _BYTE_LEVEL
        ) and last.get("use_regex", True):
            return GPT_2_DIGITS
        case [{"pattern": {"Regex": str(pattern)}} as split, last] if _has(split, _SPLIT) and _has(
            last, {**_BYTE_LEVEL, "use_regex": False}
        ):
            return pattern if pattern in (LLAMA_3, QWEN_2) else None
        case _:
            return None


def _has(step: Json, settings: Json) -> bool:
    return settings.items() <= step.items()


def _is_byte_level(data: Json) -> bool:
    return '"ByteLevel"' in json.dumps(data.get("decoder"))


def _token_bytes(
    vocab: Mapping[str, int], added_tokens: Sequence[AddedToken], *, byte_level: bool
) -> list[bytes]:
    size = 1 + max((*vocab.values(), *(token.id for token in added_tokens)))
    result = [b""] * size
    spelled = byte_level_bytes if byte_level else sentencepiece_bytes
    for token, index in vocab.items():
        result[index] = spelled(token)
    for token in added_tokens:
        result[token.id] = token.text.encode()
    return result


def token_text(value: object) -> str:
    """A token in tokenizer_config.json is a string, or an object with its flags."""
    if isinstance(value, dict):
        value = cast("Json", value).get("content")
    return value if isinstance(value, str) else ""


def _with_ids(
    path: Path,
    model: ModelSpec,
    added_tokens: Sequence[AddedToken],
    token_bytes: Sequence[bytes],
) -> TokenizerSpec:
    folder = path if path.is_dir() else path.parent
    config = read_json(folder / "tokenizer_config.json")
    generation = read_json(folder / "generation_config.json")
    ids = {token.text: token.id for token in added_tokens}
    eos = generation.get("eos_token_id", read_json(folder / "config.json").get("eos_token_id"))
    stated = eos if isinstance(eos, list) else [eos]
    named = [token_id for text, token_id in ids.items() if text in END_OF_TURN]
    return TokenizerSpec(
        model=model,
        added_tokens=added_tokens,
        token_bytes=token_bytes,
        bos_id=ids.get(token_text(config.get("bos_token")), ids.get("<|begin_of_text|>")),
        add_bos=bool(config.get("add_bos_token", "<|begin_of_text|>" in ids)),
        eos_ids=frozenset({*named, *(i for i in stated if isinstance(i, int))}),
    )
