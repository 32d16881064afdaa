"""Bounds for what saved files take on the disk: the oldest sessions lose them, and only them.

A session without its files is still read, shown and exported. Where it goes on, it begins with the
repository as it is then, and its changes are made again where they fit.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rnj_agent.agent.live.checkpoints import PACKS
from rnj_agent.agent.session import EVENTS, sessions_dir

MAX_AGE_S: Final = 30 * 24 * 3600.0
"""Since anything happened in the session."""
MAX_BYTES: Final = 2 * 1024**3
"""Of all sessions together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFiles:
    """What one session keeps of its files."""

    directory: Path
    """Of the session."""
    num_bytes: int
    used_s: float
    """When something happened in it last, as ``time.time``."""


def prune_files(
    *,
    max_age_s: float = MAX_AGE_S,
    max_bytes: int = MAX_BYTES,
    is_dry: bool = False,
    parent: Path | None = None,
) -> list[SavedFiles]:
    """Remove the saved files of sessions that are too old, then of the oldest down to the bound.

    Sessions that are open keep theirs.

    Returns:
        What was removed, the newest first; where ``is_dry`` what would be.
    """
    pruned: list[SavedFiles] = []
    num_kept_bytes, now_s = 0, time.time()
    for saved in saved_files(parent or sessions_dir()):
        is_old = now_s - saved.used_s > max_age_s
        fits = num_kept_bytes + saved.num_bytes <= max_bytes
        if (is_old or not fits) and _remove(saved, is_dry=is_dry):
            pruned.append(saved)
        else:
            num_kept_bytes += saved.num_bytes
    return pruned


def saved_files(parent: Path) -> list[SavedFiles]:
    """Of all sessions that have any, the one used last first."""
    found: list[SavedFiles] = []
    for packs in parent.glob(f"*/{PACKS}"):
        try:
            num_bytes = sum(path.stat().st_size for path in packs.iterdir())
            used_s = (packs.parent / EVENTS).stat().st_mtime
        except OSError:  # it is being removed, or is no session
            continue
        found.append(SavedFiles(directory=packs.parent, num_bytes=num_bytes, used_s=used_s))
    return sorted(found, key=lambda saved: saved.used_s, reverse=True)


def _remove(saved: SavedFiles, *, is_dry: bool) -> bool:
    """Whether it could be done: nobody has the session open, and the disk lets us."""
    with _closed(saved.directory) as is_closed:
        if is_closed and not is_dry:
            shutil.rmtree(saved.directory / PACKS, ignore_errors=True)
            return not (saved.directory / PACKS).exists()
    return is_closed


@contextmanager
def _closed(directory: Path) -> Generator[bool]:
    """Whether no process has the session open; none can open it meanwhile."""
    try:
        descriptor = os.open(directory / EVENTS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
