"""Ask the workspace whether a submission is good, and close what it leaves open."""

from __future__ import annotations

import time

from rnj_agent.agent.events import Event, VerificationFinished, VerificationStarted
from rnj_agent.agent.workspace import Emit, Review, Workspace


async def review(workspace: Workspace, emit: Emit) -> Review:
    """Review, with a VerificationFinished for every VerificationStarted, also when cancelled."""
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
        return await workspace.review(watch)
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
