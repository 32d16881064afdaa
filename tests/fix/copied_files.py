"""Files on disk as a snapshot lists them, without a repository around."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rnj_agent.agent.fix.repository import CopiedFile


def write(root: Path, files: Mapping[str, str]) -> list[CopiedFile]:
    copied: list[CopiedFile] = []
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        size = target.stat().st_size
        copied.append(CopiedFile(path=path, mode=0o100644, size_bytes=size, mtime=0))
    return copied
