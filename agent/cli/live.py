"""One turn of an interactive session without a person: for scripts and ``sessions resume``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.events import RunFinished
    from rnj_agent.agent.live.session import LiveSession
    from rnj_agent.agent.modes import Answer, Question
    from rnj_agent.agent.render import Renderer


async def resume(config: Config, session: str, message: str, *, as_json: bool) -> RunFinished:
    """Say one thing in a saved session and show what comes of it; how the turn ended.

    Raises:
        SessionError: it could not be opened, as the message says.
    """
    from rnj_agent.agent.cli.terminal import make_renderer
    from rnj_agent.agent.errors import SessionError
    from rnj_agent.agent.live.session import LiveSession

    live = LiveSession.resume(config, session, ask=_refuse, mode="yolo")
    shown = asyncio.create_task(_show(live, make_renderer(as_json=as_json)))
    try:
        async with live:
            live.send(message)
            await live.idle()
            status = live.status
    finally:  # closed, its events end
        finished = await shown
    if finished is None:
        raise SessionError(status.failure, hint=status.hint)
    return finished


async def _show(live: LiveSession, renderer: Renderer) -> RunFinished | None:
    """Everything that happens from now on; how the last run ended."""
    from rnj_agent.agent.events import RunFinished

    finished: RunFinished | None = None
    async for event in live.events(past=False):
        renderer(event)
        finished = event if isinstance(event, RunFinished) else finished
    renderer.close()
    return finished


async def _refuse(question: Question) -> Answer:
    """Nobody is there to be asked."""
    from rnj_agent.agent.modes import Answer

    return Answer(decision="reject_once")
