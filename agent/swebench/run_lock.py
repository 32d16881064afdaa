"""One runner a run directory: a lock that goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rnj_agent.agent.errors import UsageError

LOCK = "run.lock"


@contextmanager
def locked(root: Path) -> Generator[None]:
    """Hold the run directory, made where it is not there.

    Raises:
        UsageError: another process runs in it.
        OSError: it cannot be made, or written.
    """
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
            raise UsageError(
                f"Another process ({owner or 'unknown'}) runs in {root}.",
                hint=f"rnj-agent swebench status --follow {root}",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
