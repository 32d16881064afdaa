"""One process at a time at a run: locks that go with their process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rnj_agent.agent.errors import UsageError


class _HeldError(Exception):
    """Another process has the lock; its own words are the message."""


@contextmanager
def locked(root: Path) -> Generator[None]:
    """Hold the run directory, made where it is not there.

    Raises:
        UsageError: another process runs in it.
        OSError: it cannot be made, or written.
    """
    try:
        with _held(root / "run.lock"):
            yield
    except _HeldError as exc:
        raise UsageError(
            f"Another process ({exc}) runs in {root}.",
            hint=f"rnj-agent swebench status --follow {root}",
        ) from None


@contextmanager
def evaluation_locked(root: Path) -> Generator[None]:
    """Hold the evaluation of a run directory.

    Raises:
        UsageError: another evaluation is at work there.
        OSError: it cannot be made, or written.
    """
    try:
        with _held(root / "evaluation" / ".lock"):
            yield
    except _HeldError:
        raise UsageError(f"another evaluation is at work in {root}") from None


@contextmanager
def _held(path: Path) -> Generator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
            raise _HeldError(owner or "unknown") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
