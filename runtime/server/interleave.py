"""Several streams as one, each item with the number of its stream, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeVar

T = TypeVar("T")


async def interleave(
    streams: Sequence[AsyncGenerator[T, None]],
) -> AsyncGenerator[tuple[int, T], None]:
    """Yield until all streams have ended; closing it closes them.

    Raises:
        what the first stream to fail raises; the others are closed.
    """
    queue: asyncio.Queue[tuple[int, T] | int] = asyncio.Queue()

    async def pump(number: int, stream: AsyncGenerator[T, None]) -> None:
        try:
            async for item in stream:
                queue.put_nowait((number, item))
        finally:
            queue.put_nowait(number)

    pumps = [asyncio.create_task(pump(number, stream)) for number, stream in enumerate(streams)]
    num_open = len(pumps)
    try:
        while num_open:
            item = await queue.get()
            if isinstance(item, int):
                await pumps[item]  # raises what ended it
                num_open -= 1
            else:
                yield item
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
