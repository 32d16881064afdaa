"""Ask the workspace, and close what it leaves open."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rnj_agent.agent.events import Event, VerificationFinished, VerificationStarted
from rnj_agent.agent.workspace import Emit

T = TypeVar("T")


async def watched(ask: Callable[[Emit], Awaitable[T]], emit: Emit) -> T:
    """Ask, with a VerificationFinished for every VerificationStarted, also when cancelled."""
    started_s = time.monotonic()
    under_way: list[VerificationStarted] = []

    def watch(event: Event) -> None:
        match event:
            case VerificationStarted():
                under_way.append(event)
            case VerificationFinished():
                under_way.clear()
            case _:
                pass
        emit(event)

    try:
        return await ask(watch)
    finally:
        for event in under_way:
            emit(
                VerificationFinished(
                    phase=event.phase,
                    passed=False,
                    exit_code=130,
                    output="interrupted before it finished",
                    duration_s=time.monotonic() - started_s,
                )
            )
