"""A saved session as a stream of events, for the app to follow as if it happened now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from rnj_agent.agent.events import Event
from rnj_agent.agent.session import read_events


async def replayed(directory: Path) -> AsyncIterator[Event]:
    """The events of the session in this folder, as fast as they are taken.

    Raises:
        SessionError: as ``read_events``.
    """
    for event in read_events(directory):
        yield event
