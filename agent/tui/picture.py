"""A picture of the app, drawn without a terminal: what the README shows comes from recordings."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from rnj_agent.agent.events import Event
from rnj_agent.agent.tui.app import RnjApp

_FONT_FACE: Final = re.compile(r"@font-face\s*\{[^}]*\}")
_SETTLE_S: Final = 0.2


async def draw_picture(
    events: AsyncIterator[Event], *, columns: int, rows: int, theme: str = ""
) -> str:
    """The app behind the last of ``events``, as an SVG that asks no other host for a font.

    Args:
        events: of a whole session.
        columns: of the terminal that is drawn.
        rows: of it.
        theme: empty: the default one.
    """
    app = RnjApp(events=events, theme=theme)
    async with app.run_test(size=(columns, rows)) as pilot:
        await app.workers.wait_for_complete()
        app.chat.draw(None)
        await pilot.pause(_SETTLE_S)  # scrolling and layout follow the frame
        return _FONT_FACE.sub("", app.export_screenshot(title="rnj-agent"))
