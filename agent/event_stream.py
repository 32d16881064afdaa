"""The way of an event from the loop to the disk, into the history, and to whoever consumes it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event
from rnj_agent.agent.history import History


class Recorder(Protocol):
    """Where events are kept. ``agent.session.SessionWriter`` is the one that ships."""

    def write(self, event: Event) -> None:
        """Raises: SessionError."""
        ...

    def sync(self) -> None:
        """Make all that was written survive a power cut. Raises: SessionError."""
        ...

    def close(self) -> None: ...


class EventStream:
    """One producer, one consumer, an event at a time, on disk before it is seen."""

    def __init__(self, recorder: Recorder | None, history: History | None = None) -> None:
        self.history = history or History()
        self._recorder = recorder
        self._failure: SessionError | None = None
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def emit(self, event: Event) -> None:
        """Record and hand on. Never raises: what the disk refuses, ``sync`` tells."""
        if self._recorder is not None and self._failure is None:
            try:
                self._recorder.write(event)
            except SessionError as error:
                self._failure = error
        self.history.apply(event)
        self._queue.put_nowait(event)

    def sync(self) -> None:
        """Make everything emitted so far durable.

        Raises:
            SessionError: it is not, and nothing further is recorded.
        """
        if self._failure is not None:
            raise self._failure
        if self._recorder is not None:
            self._recorder.sync()

    async def consumed(self) -> None:
        """Wait until the consumer is done with every event, so that no step outruns it."""
        await self._queue.join()

    def close(self) -> None:
        """No further event will come."""
        if self._recorder is not None:
            self._recorder.close()
        self._queue.put_nowait(None)

    async def next(self) -> Event | None:
        """The next event, or None after the last one. Call ``consumed_one`` when done with it."""
        return await self._queue.get()

    def consumed_one(self) -> None:
        self._queue.task_done()
