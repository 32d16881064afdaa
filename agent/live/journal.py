"""A session's events on their way: to disk, into history and marks, and to whoever listens.

The file comes into being with the first event, so that a session in which nothing was said leaves
nothing behind.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event, Notice
from rnj_agent.agent.history import History
from rnj_agent.agent.live.marks import Marks
from rnj_agent.agent.live.mending import OpenEnds
from rnj_agent.agent.session import SessionWriter, read_events, sessions_dir

_AT_ONCE = 200
"""Saved events that are handed on before others get their turn."""


class Journal:
    """Implements ``Recorder`` for one run after another.

    Args:
        session_id: of a new session, or of one that ``goes_on``.
        goes_on: whether its events are on disk already.

    Raises:
        SessionError: it goes on, and is open elsewhere or unreadable.
    """

    def __init__(self, session_id: str, *, goes_on: bool = False) -> None:
        self.session_id = session_id
        self.directory: Path = sessions_dir() / session_id
        self.history = History()
        self.marks = Marks()
        self._writer: SessionWriter | None = None
        self._failure: SessionError | None = None
        self._num_saved = 0
        """Events that are on disk and have been handed to the listeners."""
        self._unsaved: list[tuple[int, Event]] = []
        """Those that only listeners get, with the number of saved ones before them."""
        self._listeners: list[asyncio.Queue[Event | None]] = []
        self._is_closed = False
        if goes_on:
            self._go_on()

    def _go_on(self) -> None:
        """Fold what is there, and close what a kill left open."""
        self._writer = SessionWriter.reopen(self.directory)
        open_ends = OpenEnds()
        for event in read_events(self.directory):
            open_ends.apply(event)
            self.marks.apply(event, len(self.history.messages))
            self.history.apply(event)
            self._num_saved += 1
        for event in open_ends.ends(self.marks.patch):
            self.write(event)
            self.history.apply(event)
            self._num_saved += 1

    @property
    def is_saved(self) -> bool:
        """Whether there is anything on disk yet."""
        return self._writer is not None

    def write(self, event: Event) -> None:
        """Save an event of a run, whose loop keeps the history; ``hand_on`` shows it.

        Raises:
            SessionError: the disk refuses.
        """
        self.marks.apply(event, len(self.history.messages))
        try:
            if self._writer is None:
                self._writer = SessionWriter.create(self.session_id)
            self._writer.write(event)
        except SessionError as error:
            self._failure = error
            raise

    def sync(self) -> None:
        """Raises SessionError: what was written may not survive a power cut."""
        if self._writer is not None:
            self._writer.sync()

    def close(self) -> None:
        """The end of a run: the file stays open for the next one."""

    def hand_on(self, event: Event) -> None:
        """Show an event that ``write`` was given."""
        if self._failure is None:
            self._num_saved += 1
        else:
            self._unsaved.append((self._num_saved, event))
        self._tell(event)

    def emit(self, event: Event) -> None:
        """Save and show an event from between runs. Never raises: a refusing disk is a Notice."""
        if self._failure is None:
            try:
                self.write(event)
            except SessionError as error:
                self.show(Notice(level="error", text=f"{error.message} ({error.hint})"))
        self.history.apply(event)
        self.hand_on(event)

    def show(self, event: Event) -> None:
        """To listeners alone: what is no part of the session."""
        self._unsaved.append((self._num_saved, event))
        self._tell(event)

    async def events(self, *, past: bool = True) -> AsyncGenerator[Event]:
        """Everything from the beginning, then as it comes, until ``finish``; or what comes."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        before = self._past() if past else iter(())
        if not self._is_closed:
            self._listeners.append(queue)
        else:
            queue.put_nowait(None)
        try:
            for number, event in enumerate(before):
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                yield event
            while (event := await queue.get()) is not None:
                yield event
        finally:
            if queue in self._listeners:
                self._listeners.remove(queue)

    def finish(self) -> None:
        """No further event will come."""
        self._is_closed = True
        for queue in self._listeners:
            queue.put_nowait(None)
        if self._writer is not None:
            self._writer.close()

    def _past(self) -> Iterator[Event]:
        """What was handed on until now, whenever it is read."""
        num_saved, unsaved = self._num_saved, list(self._unsaved)
        saved = itertools.islice(read_events(self.directory), num_saved) if num_saved else iter(())
        return _merged(saved, unsaved)

    def _tell(self, event: Event) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)


def _merged(saved: Iterator[Event], unsaved: list[tuple[int, Event]]) -> Iterator[Event]:
    waiting = iter([*unsaved, (-1, None)])
    place, other = next(waiting)
    for number, event in enumerate(saved):
        while other is not None and place <= number:
            yield other
            place, other = next(waiting)
        yield event
    while other is not None:
        yield other
        _, other = next(waiting)
