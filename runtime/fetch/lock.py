"""One process at a time on one model: a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

RETRY_INTERVAL_S = 0.5


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None]) -> Generator[None, None, None]:
    """Hold the lock file ``path``; ``on_wait`` is called now and then while another has it."""
    with path.open("a") as file:
        while not _try_lock(file.fileno()):
            on_wait()
            time.sleep(RETRY_INTERVAL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
