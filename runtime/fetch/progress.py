"""How far a download is, told to whoever asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

POLL_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    done_bytes: int
    total_bytes: int
    what: str
    """What is going on, as a phrase: "part 3 of 22", "checking sha256"."""


OnProgress: TypeAlias = Callable[[Progress], None]


class Reporter:
    """Tells how many bytes are there, never fewer than before and never more than all."""

    def __init__(self, progress: OnProgress, total_bytes: int, what: str) -> None:
        self._progress = progress
        self._total_bytes = total_bytes
        self._what = what
        self._done_bytes = 0
        self._start_bytes = 0

    def next_file(self) -> None:
        """From now on bytes are counted from the end of the file that is done."""
        self._start_bytes = self._done_bytes

    def __call__(self, done_bytes: int) -> None:
        done_bytes += self._start_bytes
        self._done_bytes = min(max(done_bytes, self._done_bytes), self._total_bytes)
        self._progress(
            Progress(done_bytes=self._done_bytes, total_bytes=self._total_bytes, what=self._what)
        )


def silent(progress: Progress) -> None:
    """Tell nobody."""


@contextmanager
def watch_folder(folder: Path, on_bytes: Callable[[int], None]) -> Generator[None, None, None]:
    """Report from another thread how many bytes the files in ``folder`` have."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_INTERVAL_S):
            on_bytes(folder_bytes(folder))

    thread = threading.Thread(target=watch, name="download-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def folder_bytes(folder: Path) -> int:
    """Bytes in all files below; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
