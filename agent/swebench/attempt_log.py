"""The events of an attempt, as they happen. A kill loses none; a power cut loses the attempt.

A session is synced at every step, which would hold up all attempts of an event loop. Here the disk
has them when the attempt's result is written; without a result the attempt is run again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.agent.events import Event
from rnj_agent.agent.session import EVENTS, SessionWriter


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """Implements ``Recorder``."""

    session: SessionWriter

    def write(self, event: Event) -> None:
        self.session.write(event)

    def sync(self) -> None:
        """Nothing: see the module."""

    def close(self) -> None:
        self.session.close()


def sync_log(directory: Path) -> None:
    """Make an attempt's events survive a power cut, if it has any.

    Raises:
        OSError: the disk refuses.
    """
    try:
        descriptor = os.open(directory / EVENTS, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
