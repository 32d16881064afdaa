"""Waiting for what has gone: one looks, all wait, two lines are said, and a limit ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.pause import Pause, PauseLimitError
from rnj_agent.agent.swebench.vital import has_room, write_patiently


class Away:
    """Something that is back after so many looks."""

    def __init__(self, num_looks: int) -> None:
        self.num_looks = 0
        self._needed = num_looks

    async def is_back(self) -> bool:
        self.num_looks += 1
        return self.num_looks > self._needed


async def test_all_wait_while_one_looks() -> None:
    said: list[str] = []
    told: list[str] = []
    away = Away(3)

    def say(notice: Notice) -> None:
        said.append(notice.text)

    pause = Pause(say=say, tell=told.append, retry_s=0.01)
    waited = await asyncio.gather(*(pause.until("it is away", away.is_back) for _ in range(5)))
    assert all(seconds > 0 for seconds in waited)
    assert len(said) == 2
    assert said[0].startswith("paused: it is away since ")
    assert said[1].startswith("going on after ")
    assert (len(told), told[-1]) == (2, "")
    assert away.num_looks < 15
    assert await pause.until("it is away", away.is_back) == 0.0


async def test_the_limit_ends_it_for_all() -> None:
    pause = Pause(say=lambda notice: None, retry_s=0.01, limit_s=0.03)
    waits = [pause.until("it is away", Away(1000).is_back) for _ in range(3)]
    errors = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(error, PauseLimitError) for error in errors)
    with pytest.raises(PauseLimitError, match="the run's limit"):
        pause.check()
    with pytest.raises(PauseLimitError):
        await pause.until("something else", Away(0).is_back)


async def test_a_full_disk_is_waited_for_and_other_errors_are_not(tmp_path: Path) -> None:
    failures = [OSError(28, "No space left on device"), OSError(28, "No space left on device")]

    def write() -> None:
        if failures:
            raise failures.pop()

    pause = Pause(say=lambda notice: None, retry_s=0.01)
    assert has_room(tmp_path)
    await write_patiently(pause, tmp_path, write)
    assert failures == []
    failures.append(PermissionError(13, "Permission denied"))
    with pytest.raises(PermissionError):
        await write_patiently(pause, tmp_path, write)
