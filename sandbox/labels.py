"""Who owns a sandbox: the process that made it, told apart from a later one with the same number.

Each container and each run directory bears its owner, so that the next start can remove what a
crashed run left and nothing else.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from rnj_agent.sandbox.process_table import status_of

MANAGED_LABEL = "dev.rnj-agent.managed"
OWNER_LABEL = "dev.rnj-agent.owner"
SESSION_LABEL = "dev.rnj-agent.session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process, named so that no other one ever equals it."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int
    """When it started, after the boot."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def current_owner() -> Owner:
    start_ticks = _start_ticks(os.getpid())
    assert start_ticks is not None
    return _here(os.getpid(), start_ticks)


def parse_owner(text: str) -> Owner | None:
    """What ``to_json`` wrote; None where it is something else."""
    try:
        fields = json.loads(text)
        return Owner(
            host=str(fields["host"]),
            boot_id=str(fields["boot_id"]),
            pid_namespace=str(fields["pid_namespace"]),
            pid=int(fields["pid"]),
            start_ticks=int(fields["start_ticks"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def is_gone(owner: Owner) -> bool:
    """Whether that process is certainly dead.

    An owner on another machine, or in a pid namespace that is not ours, cannot be looked up and
    counts as living; one from before the last boot of this machine is dead.
    """
    here = _here(owner.pid, owner.start_ticks)
    if owner.host != here.host:
        return False
    if owner.boot_id != here.boot_id:
        return True
    return owner.pid_namespace == here.pid_namespace and (
        _start_ticks(owner.pid) != owner.start_ticks
    )


def _here(pid: int, start_ticks: int) -> Owner:
    return Owner(
        host=socket.gethostname(),
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        pid_namespace=os.readlink("/proc/self/ns/pid"),
        pid=pid,
        start_ticks=start_ticks,
    )


def _start_ticks(pid: int) -> int | None:
    """None for a process that is not there, or dead and only not yet waited for."""
    status = status_of(pid)
    return None if status is None or status.state in {"Z", "X"} else status.start_ticks
