"""The app's screen as plain text, and apps to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from textual.app import App
from textual.pilot import Pilot

from rnj_agent.agent.events import Event
from rnj_agent.agent.tui.app import RnjApp


def screen_text(app: App[None]) -> str:
    """What a person reads, line by line."""
    strips = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]
    return "\n".join(strip.text.rstrip() for strip in strips)


async def stream(events: Iterable[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event


async def settled(pilot: Pilot[None]) -> str:
    """The screen once nothing changes any more."""
    seen: list[str] = []
    for _ in range(200):
        await pilot.pause(0.03)
        seen = [*seen[-3:], screen_text(pilot.app)]
        is_whole = seen[-1].count("\n") + 1 == pilot.app.size.height  # a screen may be on its way
        is_whole &= not isinstance(pilot.app, RnjApp) or pilot.app.is_drawn
        if is_whole and len(seen) == 4 and len(set(seen)) == 1:
            return seen[0]
    raise AssertionError("the screen never comes to rest")
