"""A checkpoint's own defaults for sampling: ``generation_config.json`` of a Hugging Face folder.

Not here: which tokens end a turn (``tokenizers/``). GGUF files carry no such defaults.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rnj_agent.runtime.errors import CheckpointError

FILE_NAME = "generation_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig:
    """Used where a request says nothing; without a file, the plain distribution."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps all."""
    min_p: float = 0.0
    repetition_penalty: float = 1.0


def read_generation_config(path: Path) -> GenerationConfig:
    """The defaults of a checkpoint.

    Args:
        path: a GGUF file, or a checkpoint folder or a file in it.

    Raises:
        CheckpointError: the file is there and broken.
    """
    if path.suffix == ".gguf":
        return GenerationConfig()
    file = (path if path.is_dir() else path.parent) / FILE_NAME
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return GenerationConfig()
    except (OSError, ValueError, RecursionError) as exc:
        raise CheckpointError(f"{file} cannot be read: {exc}") from exc
    if not isinstance(fields, dict):
        raise CheckpointError(f"{file} does not hold a JSON object")
    return _config(cast("dict[str, Any]", fields), file)


def _config(fields: dict[str, Any], file: Path) -> GenerationConfig:
    def number(name: str, default: float, least: float, most: float) -> float:
        value = fields.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(f"{file}: {name} is {value!r}, not a number")
        if not least <= value <= most:
            raise CheckpointError(f"{file}: {name} is {value!r}, not in {least:g} to {most:g}")
        return float(value)

    return GenerationConfig(
        temperature=number("temperature", 1.0, 0.0, 100.0),
        top_p=number("top_p", 1.0, 1e-6, 1.0),
        top_k=int(number("top_k", 0, 0, 2**31)),
        min_p=number("min_p", 0.0, 0.0, 1.0),
        repetition_penalty=number("repetition_penalty", 1.0, 1e-3, 1e3),
    )
