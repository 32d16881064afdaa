"""Processes that keep cores busy, as a build or a browser beside the model does."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Generator


@contextlib.contextmanager
def other_work(num_processes: int) -> Generator[None, None, None]:
    """That many loops for as long as this is open, each in a process of its own."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(num_processes)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
