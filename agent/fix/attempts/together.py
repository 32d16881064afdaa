"""Run several works at once until all are done, one of them has won, or everything is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    errors: tuple[BaseException | None, ...]
    """What escaped from each; None: nothing, or it was stopped."""
    interrupted: bool
    """Whether we were told to stop."""


async def run_together(
    works: Sequence[Coroutine[Any, Any, None]], is_won: Callable[[], bool]
) -> Ends:
    """Run all; once one of them has won, or we are cancelled, the others end in order.

    A cancellation is answered by ``interrupted``, not passed on: what was reached until then is to
    be reported. A second one does not wait.

    Args:
        works: what is run.
        is_won: asked whenever one has ended.
    """
    tasks = [asyncio.create_task(work) for work in works]
    interrupted = False
    try:
        running = set(tasks)
        while running and not is_won():
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        interrupted = True
        forget_cancellation()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    errors = tuple(None if task.cancelled() else task.exception() for task in tasks)
    return Ends(errors=errors, interrupted=interrupted)


def forget_cancellation() -> None:
    """What the current task was told is dealt with: timeouts must not take it for theirs."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
