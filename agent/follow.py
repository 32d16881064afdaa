"""Consume a run: hand each event to a renderer, and keep it ticking while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, cast

from rnj_agent.agent.events import Event, RunFinished
from rnj_agent.agent.render import Renderer

_TICK_S: Final = 1.0


async def follow(run: AsyncIterator[Event], renderer: Renderer) -> RunFinished:
    """Render a run to its end and return how it ended.

    Cancelled, it still renders what the run says while it ends; so does a renderer whose reader
    has gone (BrokenPipeError) end the run in order.
    """
    finished: RunFinished | None = None
    # Loops are async generators: closing one early is what ends its run.
    async with _ticking(renderer), aclosing(cast(AsyncGenerator[Event], run)):
        async for event in run:
            renderer(event)
            if isinstance(event, RunFinished):
                finished = event
    assert finished is not None, "a run ends with RunFinished"
    return finished


@asynccontextmanager
async def _ticking(renderer: Renderer) -> AsyncGenerator[None]:
    async def tick() -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            renderer.tick()

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        renderer.close()
