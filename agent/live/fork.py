"""A second session that begins as another one stood before a step; that one stays as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event, RunStarted
from rnj_agent.agent.live.checkpoints import copy_states
from rnj_agent.agent.live.marks import Marks
from rnj_agent.agent.live.mending import OpenEnds
from rnj_agent.agent.rewinding import begin_of
from rnj_agent.agent.session import SessionWriter, new_session_id, read_events


def fork_session(directory: Path, before_step: int | None = None) -> str:
    """Copy a session and its files' states: the id of the new one, to be resumed.

    Args:
        directory: of the session.
        before_step: leave this step out, with what was said right before it, and all after it;
            also one that was undone. None: all of it is copied.

    Raises:
        SessionError: there is no such step, or the disk refuses.
    """
    events = list(read_events(directory))
    end = len(events) if before_step is None else _before(events, before_step)
    session_id = new_session_id()
    writer = SessionWriter.create(session_id)
    try:
        for event in _copied(events[:end], session_id):
            writer.write(event)
        writer.sync()
        copy_states(directory, writer.directory)
    except OSError as exc:
        shutil.rmtree(writer.directory, ignore_errors=True)
        raise SessionError(f"the session cannot be copied: {exc.strerror}") from exc
    finally:
        writer.close()
    return session_id


def _before(events: list[Event], step: int) -> int:
    begin = begin_of(events, step)
    if begin is None:
        raise SessionError(f"step {step} is not in this session")
    return begin


def _copied(events: list[Event], session_id: str) -> Iterator[Event]:
    open_ends, marks = OpenEnds(), Marks()
    for event in events:
        open_ends.apply(event)
        marks.apply(event, 0)
        yield replace(event, session_id=session_id) if isinstance(event, RunStarted) else event
    yield from open_ends.ends(marks.patch)
