"""Work in a thread that many tasks wait for, done once for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.images.source import Say

Work: TypeAlias = Callable[[Say, threading.Event], None]
"""Runs in a thread. Its ``Say`` may be called there; the event is set once no one waits."""


@dataclass(slots=True)
class _Job:
    stop: threading.Event = field(default_factory=threading.Event)
    listeners: list[Say] = field(default_factory=list[Say])
    task: asyncio.Task[None] | None = None

    def tell(self, notice: Notice) -> None:
        for say in self.listeners:
            say(notice)


class SharedWork:
    """Args: num_at_once: how many kinds of work run at the same time."""

    def __init__(self, num_at_once: int) -> None:
        self._turns = asyncio.Semaphore(num_at_once)
        self._jobs: dict[str, _Job] = {}

    async def do(self, name: str, say: Say, work: Work) -> None:
        """Do ``work``, or wait for the one of that name that is under way.

        Cancelled, the work goes on for those who still wait, and is told to stop for the last.

        Args:
            name: of the work.
            say: hears what the work says, from now on.
            work: what to do.

        Raises:
            Exception: what the work raises, for each who waits.
        """
        job = self._jobs.get(name) or self._start(name, work)
        assert job.task is not None
        job.listeners.append(say)
        try:
            await asyncio.shield(job.task)
        finally:
            job.listeners.remove(say)
            if not job.listeners and not job.task.done():
                job.stop.set()
                self._forget(name, job)

    def _start(self, name: str, work: Work) -> _Job:
        job = self._jobs[name] = _Job()
        job.task = asyncio.create_task(self._run(job, work))

        def end(task: asyncio.Task[None]) -> None:
            self._forget(name, job)
            if not task.cancelled():
                task.exception()  # looked at, even where no one waits for it any more

        job.task.add_done_callback(end)
        return job

    async def _run(self, job: _Job, work: Work) -> None:
        loop = asyncio.get_running_loop()

        def say(notice: Notice) -> None:
            loop.call_soon_threadsafe(job.tell, notice)

        async with self._turns:
            if not job.stop.is_set():
                await asyncio.to_thread(work, say, job.stop)

    def _forget(self, name: str, job: _Job) -> None:
        if self._jobs.get(name) is job:
            del self._jobs[name]
