"""Room on the disk: asked for before a download, and named when it runs out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rnj_agent.runtime.catalogue import CatalogueEntry
from rnj_agent.runtime.errors import DownloadError

SPARE_BYTES = 64 << 20
"""Left free for whoever else writes to the disk."""


def check_space(entry: CatalogueEntry, folder: Path, needed_bytes: int) -> None:
    """Raise DownloadError where ``needed_bytes`` more do not fit."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise DownloadError(
            f"{entry.name} needs {_gigabytes(needed_bytes + SPARE_BYTES)} more in {folder}, "
            f"but only {_gigabytes(free_bytes)} are free.",
            hint=f"free some space, or {_elsewhere(entry)}",
        )


@contextmanager
def disk_errors(entry: CatalogueEntry, folder: Path) -> Generator[None, None, None]:
    """Turn what the file system refuses into DownloadError."""
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = "the disk is full" if full else f"{exc.strerror or exc}"
        raise DownloadError(
            f"{entry.name} cannot be stored in {folder}: {problem}.",
            hint=_elsewhere(entry) if not full else f"free some space, or {_elsewhere(entry)}",
        ) from exc


def _elsewhere(entry: CatalogueEntry) -> str:
    return f"keep models elsewhere: RNJ_HOME=/path/to/large/disk rnj-agent model pull {entry.name}"


def _gigabytes(size_bytes: int) -> str:
    return f"{max(size_bytes, 0) / 1e9:.2f} GB"
