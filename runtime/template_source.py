"""Reads a checkpoint's chat templates, wherever its format keeps them.

GGUF: ``tokenizer.chat_template`` and ``tokenizer.chat_template.<name>``. Hugging Face folders:
chat_template.jinja and additional_chat_templates/*.jinja, chat_template.json, or the entry in
tokenizer_config.json, one text or a list of named ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from rnj_agent.runtime.errors import TemplateError
from rnj_agent.runtime.tokenizers.gguf import added_tokens_of
from rnj_agent.runtime.tokenizers.hf import read_json, token_text

DEFAULT = "default"
TOOL_USE = "tool_use"

GGUF_TEMPLATE = "tokenizer.chat_template"
SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    templates: Mapping[str, str]
    """By name; ``default`` and ``tool_use`` are the names with a meaning."""
    control_tokens: Sequence[str]
    variables: Mapping[str, str]
    """``bos_token`` and so on, as templates know them."""


def builtin_template(control_tokens: Sequence[str]) -> str | None:
    """The format for a checkpoint without a usable template, told by its control tokens."""
    if {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"} <= set(control_tokens):
        return _resource("rnj-1.jinja")
    if {"<|im_start|>", "<|im_end|>"} <= set(control_tokens):
        return _resource("chatml.jinja")
    return None


def source_from_gguf(metadata: Mapping[str, object]) -> TemplateSource:
    templates = {
        key.removeprefix(GGUF_TEMPLATE).removeprefix(".") or DEFAULT: value
        for key, value in metadata.items()
        if isinstance(value, str) and (key == GGUF_TEMPLATE or key.startswith(GGUF_TEMPLATE + "."))
    }
    tokens = cast("Sequence[str]", metadata.get("tokenizer.ggml.tokens", []))
    types = cast("Sequence[int]", metadata.get("tokenizer.ggml.token_type", []))
    if len(types) != len(tokens):
        types = [1] * len(tokens)
    ids = {
        "bos_token": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token": metadata.get("tokenizer.ggml.eos_token_id"),
        "pad_token": metadata.get("tokenizer.ggml.padding_token_id"),
        "unk_token": metadata.get("tokenizer.ggml.unknown_token_id"),
    }
    return TemplateSource(
        templates=templates,
        control_tokens=[token.text for token in added_tokens_of(tokens, types) if token.is_control],
        variables={
            name: tokens[index]
            for name, index in ids.items()
            if isinstance(index, int) and 0 <= index < len(tokens)
        },
    )


def source_from_hf(path: Path) -> TemplateSource:
    """Read a checkpoint folder, or the folder around a tokenizer.json."""
    folder = path if path.is_dir() else path.parent
    config = read_json(folder / "tokenizer_config.json")
    tokenizer = read_json(folder / "tokenizer.json")
    special_tokens = (token_text(config.get(name)) for name in SPECIAL_TOKENS)
    variables = dict(zip(SPECIAL_TOKENS, special_tokens, strict=True))
    return TemplateSource(
        templates={
            **_named(config.get("chat_template")),
            **_named(read_json(folder / "chat_template.json").get("chat_template")),
            **_template_files(folder),
        },
        control_tokens=[
            str(token["content"]) for token in tokenizer.get("added_tokens", []) if token["special"]
        ],
        variables={name: text for name, text in variables.items() if text},
    )


def _named(value: Any) -> dict[str, str]:
    match value:
        case str():
            return {DEFAULT: value}
        case list():
            items = cast("list[dict[str, Any]]", value)
            return {str(item["name"]): str(item["template"]) for item in items}
        case _:
            return {}


def _template_files(folder: Path) -> dict[str, str]:
    paths = {path.stem: path for path in (folder / "additional_chat_templates").glob("*.jinja")}
    main = folder / "chat_template.jinja"
    if main.exists():
        paths[DEFAULT] = main
    try:
        return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    except (OSError, ValueError) as exc:
        raise TemplateError(f"cannot read the chat template in {folder}: {exc}") from exc


def _resource(name: str) -> str:
    return (files("rnj_agent.runtime") / "templates" / name).read_text(encoding="utf-8")
