"""Follow a stream of events into a conversation, and ask for a frame now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from rnj_agent.agent.events import Event
from rnj_agent.agent.tui.state import Conversation

_SLICE_S: Final = 0.005
"""Events are folded for so long at a stretch; then keys get their turn."""


async def follow(
    events: AsyncIterator[Event], conversation: Conversation, changed: Callable[[], None]
) -> None:
    """Fold events as they come, to the stream's end."""
    slice_ends_s = time.monotonic() + _SLICE_S
    async for event in events:
        conversation.apply(event)
        changed()
        if time.monotonic() > slice_ends_s:
            await asyncio.sleep(0)
            slice_ends_s = time.monotonic() + _SLICE_S
