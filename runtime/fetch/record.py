"""What was fetched and from where: written beside a model once it is whole and checked."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RECORD_NAME = "fetched.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    name: str
    """Relative to the model's folder."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRecord:
    source: str
    """"package index", or the repository on the model hub and its commit."""
    files: tuple[FetchedFile, ...]

    def is_present_in(self, folder: Path) -> bool:
        """Whether all files are there with their sizes; ``hub.verify`` reads them."""
        return all(_size_bytes(folder / file.name) == file.size_bytes for file in self.files)


def read_record(folder: Path) -> FetchRecord | None:
    try:
        fields: dict[str, Any] = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        files = tuple(FetchedFile(**file) for file in fields["files"])
        return FetchRecord(source=str(fields["source"]), files=files)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(folder: Path, record: FetchRecord) -> None:
    scratch = folder / (RECORD_NAME + ".new")
    scratch.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    os.replace(scratch, folder / RECORD_NAME)


def _size_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
