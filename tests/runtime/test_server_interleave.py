"""Several streams as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from rnj_agent.runtime.server.interleave import interleave


async def counting(count: int, closed: list[int]) -> AsyncGenerator[int, None]:
    try:
        for number in range(count):
            yield number
            await asyncio.sleep(0)
    finally:
        closed.append(count)


async def failing() -> AsyncGenerator[int, None]:
    yield 0
    raise ValueError("broken")


async def test_everything_comes_in_the_order_of_its_stream() -> None:
    closed: list[int] = []
    items = [item async for item in interleave([counting(3, closed), counting(5, closed)])]
    assert [number for stream, number in items if stream == 0] == [0, 1, 2]
    assert [number for stream, number in items if stream == 1] == [0, 1, 2, 3, 4]
    assert items.index((1, 0)) < items.index((0, 2)), "one stream waited for the other"
    assert sorted(closed) == [3, 5]


async def test_leaving_closes_all_streams() -> None:
    closed: list[int] = []
    async with aclosing(interleave([counting(100, closed), counting(200, closed)])) as items:
        async for _ in items:
            break
    assert sorted(closed) == [100, 200]


async def test_a_failure_ends_all_of_them() -> None:
    closed: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        _ = [item async for item in interleave([counting(100, closed), failing()])]
    assert closed == [100]
