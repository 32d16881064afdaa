"""Look up and end processes in the machine's process table."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

_STOP_S = 1.0
_RUNNING = {"R", "S", "D"}


class Status(NamedTuple):
    """Of /proc/PID/stat, what is needed here."""

    state: str
    parent: int
    start_ticks: int
    """Clock ticks after boot."""


def status_of(pid: int) -> Status | None:
    """None for a process that is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything
    return Status(state=fields[0], parent=int(fields[1]), start_ticks=int(fields[19]))


def all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def kill_with_children(pid: int) -> None:
    """Kill a process and its children, also one that it makes at this moment.

    Bubblewrap's own child is the init of the sandbox: with it everything in there dies. It is to
    die with its parent, too, but only once it has come to say so to the kernel.
    """
    send(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_S
    while (status := status_of(pid)) and status.state in _RUNNING and time.monotonic() < deadline:
        time.sleep(0.001)
    for other in all_pids():
        status = status_of(other)
        if status is not None and status.parent == pid:
            send(other, signal.SIGKILL)
    send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
