"""The sha256 of a large file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

CHUNK_BYTES = 1 << 20


def file_sha256(path: Path, on_bytes: Callable[[int], None]) -> str:
    """Hex digest; ``on_bytes`` hears how many bytes have been read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            on_bytes(file.tell())
    return digest.hexdigest()
