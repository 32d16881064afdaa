"""Where a step's time goes: the model, the tools, and the agent itself."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class StepClock:
    """Starts when made."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.model_s = 0.0
        self.tools_s = 0.0

    async def model(self, awaitable: Awaitable[T]) -> T:
        """Await something of the model's."""
        started = time.monotonic()
        try:
            return await awaitable
        finally:
            self.model_s += time.monotonic() - started

    async def tools(self, awaitable: Awaitable[T]) -> T:
        """Await a tool, a review or a person's decision."""
        started = time.monotonic()
        try:
            return await awaitable
        finally:
            self.tools_s += time.monotonic() - started

    @property
    def own_s(self) -> float:
        """Seconds so far that were neither the model's nor the tools'."""
        return max(0.0, time.monotonic() - self._started - self.model_s - self.tools_s)
