"""What a runner does right now: kept in the run directory, so that another process can show it.

It is a courtesy and no record: it is written now and then, not made to survive a power cut, and no
error of the disk comes of it. What is old says that nobody runs there any more.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from rnj_agent.agent.swebench.run_dir import read_record

ACTIVITY: Final = "now.json"
STALE_S: Final = 20.0
"""Older than that, its writer is gone: it writes every two seconds."""


class InFlight(BaseModel):
    """An attempt that a worker is at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance_id: str
    attempt: int
    what: str = ""
    """In a few words, such as ``pulls the image`` or ``step 12``."""
    since_s: float
    """Unix time of its start."""


class Activity(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    pid: int
    num_workers: int
    started_s: float
    """Unix time; of this process, not of the run."""
    updated_s: float
    in_flight: tuple[InFlight, ...] = ()
    pause: str = ""
    """Why the run waits, in one line; empty: it does not."""
    paused_s: float = 0.0
    """Unix time since when."""

    def is_current(self, now_s: float) -> bool:
        return abs(now_s - self.updated_s) < STALE_S


class Board:
    """Where a runner notes what it does. Cheap: it only remembers."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._started_s = time.time()
        self._in_flight: dict[tuple[str, int], InFlight] = {}
        self._pause = ""
        self._paused_s = 0.0

    def begin(self, instance_id: str, attempt: int) -> None:
        entry = InFlight(instance_id=instance_id, attempt=attempt, since_s=time.time())
        self._in_flight[instance_id, attempt] = entry

    def doing(self, instance_id: str, attempt: int, what: str) -> None:
        """Say in a few words what goes on there; of what has not begun it says nothing."""
        entry = self._in_flight.get((instance_id, attempt))
        if entry is not None:
            self._in_flight[instance_id, attempt] = entry.model_copy(update={"what": what})

    def end(self, instance_id: str, attempt: int) -> None:
        self._in_flight.pop((instance_id, attempt), None)

    def pause(self, why: str) -> None:
        """The whole run waits; said again with other words, it still waits since the first."""
        if not self._pause:
            self._paused_s = time.time()
        self._pause = why

    def resume(self) -> None:
        self._pause = ""

    def activity(self) -> Activity:
        return Activity(
            host=socket.gethostname(),
            pid=os.getpid(),
            num_workers=self._num_workers,
            started_s=self._started_s,
            updated_s=time.time(),
            in_flight=tuple(self._in_flight.values()),
            pause=self._pause,
            paused_s=self._paused_s,
        )


def read_activity(root: Path, now_s: float) -> Activity | None:
    """None where nobody runs."""
    activity = read_record(root / ACTIVITY, Activity)
    return activity if activity is not None and activity.is_current(now_s) else None


def write_activity(root: Path, activity: Activity) -> None:
    """Whole or not at all; a disk that refuses is passed over."""
    new = root / f".{ACTIVITY}"
    try:
        new.write_text(activity.model_dump_json(), encoding="utf-8")
        os.replace(new, root / ACTIVITY)
    except OSError:
        return


def remove_activity(root: Path) -> None:
    """The runner is done."""
    try:
        (root / ACTIVITY).unlink(missing_ok=True)
    except OSError:
        return
