"""Where a fetched model came from, written beside it once it is whole."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRecord:
    source: str
    """"package index", or the repository on the model hub."""
    size_bytes: int
    sha256: str | None = None
    """Of the file as fetched; None for a folder."""
    verified: bool = False
    """Whether the checksum was known beforehand, or only taken down."""


def record_path(model: Path) -> Path:
    """``model`` is the file, or the folder of a model that is a folder."""
    folder = model if model.is_dir() else model.parent
    return folder / "fetched.json"


def read_record(model: Path) -> FetchRecord | None:
    try:
        fields: dict[str, Any] = json.loads(record_path(model).read_text(encoding="utf-8"))
        return FetchRecord(**fields)
    except (OSError, ValueError, TypeError):
        return None


def write_record(model: Path, record: FetchRecord) -> None:
    path = record_path(model)
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    os.replace(scratch, path)
