"""Waiting for what all attempts need and what has gone: the engine, the model's server, the disk.

Everyone who misses a thing waits here; one asks for it every few seconds, the person reads one line
when it goes and one when it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.figures import span
from rnj_agent.agent.swebench.images.source import Say

IsBack = Callable[[], Awaitable[bool]]
RETRY_S: Final = 5.0


class PauseLimitError(RnjError):
    """Something has been away for longer than the run may wait. The run can be resumed."""

    exit_code: ClassVar[int] = 3


class Pause:
    """One for all workers of a process.

    Args:
        say: shows the two lines.
        tell: is told why the run waits, and with an empty string that it goes on.
        retry_s: between two looks.
        limit_s: how long it may wait at a time; None: for ever.
    """

    def __init__(
        self,
        *,
        say: Say,
        tell: Callable[[str], None] = lambda why: None,
        retry_s: float = RETRY_S,
        limit_s: float | None = None,
    ) -> None:
        self._say = say
        self._tell = tell
        self._retry_s = retry_s
        self._limit_s = limit_s
        self._waits: dict[str, asyncio.Task[None]] = {}
        self.error: PauseLimitError | None = None
        """Set for good once the limit is reached."""

    async def until(self, what: str, is_back: IsBack) -> float:
        """Wait until it is back: how many seconds that took, 0 where it was never away.

        Args:
            what: is away, such as ``the Docker engine does not answer``; who misses the same thing
                uses the same words.
            is_back: asks for it once; never raises.

        Raises:
            PauseLimitError: it stayed away.
        """
        self.check()
        started_s = time.monotonic()
        if what not in self._waits and await is_back():
            return 0.0
        if what not in self._waits:
            self._waits[what] = asyncio.create_task(self._wait(what, is_back))
        await asyncio.shield(self._waits[what])
        return time.monotonic() - started_s

    def check(self) -> None:
        """Raises: PauseLimitError: some wait has reached the limit."""
        if self.error is not None:
            raise self.error

    async def _wait(self, what: str, is_back: IsBack) -> None:
        started_s = time.monotonic()
        since = time.strftime("%H:%M:%S")
        line = f"{what} since {since}; trying again every {self._retry_s:g} s"
        self._say(Notice(level="warning", text=f"paused: {line}"))
        self._tell(line)
        try:
            while True:
                self._check_limit(what, time.monotonic() - started_s)
                await asyncio.sleep(self._retry_s)
                if await is_back():
                    break
            waited = span(time.monotonic() - started_s)
            self._say(Notice(level="info", text=f"going on after {waited}"))
        finally:
            del self._waits[what]
            if not self._waits:
                self._tell("")

    def _check_limit(self, what: str, waited_s: float) -> None:
        if self._limit_s is None or waited_s < self._limit_s:
            return
        self.error = PauseLimitError(
            f"{what} for {span(waited_s)}, which is the run's limit.",
            hint="mend that and run the same command again: what is finished is kept",
        )
        raise self.error
