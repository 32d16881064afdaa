"""Work that many wait for: done once, heard by all, stopped when no one waits any more."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.images.shared_work import SharedWork
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.sandbox.errors import ImageMissingError

SOON_S = 20.0


class Gated:
    """Work that goes on until it is let go, or told to stop."""

    def __init__(self, error: Exception | None = None) -> None:
        self.num_started = 0
        self.was_stopped = threading.Event()
        self.go = threading.Event()
        self._error = error

    def __call__(self, say: Say, stop: threading.Event) -> None:
        self.num_started += 1
        say(Notice(level="info", text="started"))
        while not self.go.wait(0.005):
            if stop.is_set():
                self.was_stopped.set()
                return
        if self._error is not None:
            raise self._error


class Heard:
    """What was said, and a way to wait for it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._enough = asyncio.Event()

    def __call__(self, notice: Notice) -> None:
        self._number -= 1
        if self._number == 0:
            self._enough.set()

    async def all(self) -> None:
        await asyncio.wait_for(self._enough.wait(), SOON_S)


async def test_many_share_one_piece_of_work() -> None:
    work, gated, say = SharedWork(4), Gated(), Heard(5)
    tasks = [asyncio.create_task(work.do("image", say, gated)) for _ in range(5)]
    await say.all()
    gated.go.set()
    await asyncio.gather(*tasks)
    assert gated.num_started == 1
    await work.do("image", say, gated)
    assert gated.num_started == 2  # finished work is not remembered


async def test_no_more_at_once_than_allowed() -> None:
    work, first, second, say = SharedWork(1), Gated(), Gated(), Heard(1)
    tasks = [
        asyncio.create_task(work.do(name, say, job)) for name, job in (("1", first), ("2", second))
    ]
    await say.all()
    await asyncio.sleep(0.05)
    assert first.num_started + second.num_started == 1
    first.go.set()
    second.go.set()
    await asyncio.gather(*tasks)
    assert first.num_started + second.num_started == 2


async def test_each_who_waits_has_the_error() -> None:
    work, gated, say = SharedWork(4), Gated(ImageMissingError("none")), Heard(2)
    tasks = [asyncio.create_task(work.do("image", say, gated)) for _ in range(2)]
    await say.all()
    gated.go.set()
    for task in tasks:
        with pytest.raises(ImageMissingError):
            await task


async def test_work_goes_on_for_whoever_stays_and_stops_after_the_last() -> None:
    work, gated, say = SharedWork(4), Gated(), Heard(2)
    first, last = (asyncio.create_task(work.do("image", say, gated)) for _ in range(2))
    await say.all()
    first.cancel()
    await asyncio.wait({first})
    await asyncio.sleep(0.05)
    assert not gated.was_stopped.is_set()
    last.cancel()
    await asyncio.wait({last})
    assert await asyncio.to_thread(gated.was_stopped.wait, SOON_S)
