"""Some work on each of many things, a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")


async def for_each(
    items: Iterable[_T], work: Callable[[_T], Awaitable[None]], *, num_workers: int
) -> None:
    """Begun in order; an error ends what is under way, and is raised as it is."""
    workers = asyncio.Semaphore(num_workers)

    async def do(item: _T) -> None:
        async with workers:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(do(item))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
