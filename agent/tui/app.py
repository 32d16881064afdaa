"""The app: it follows a session's events, draws once a frame, and hands on what the person does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import ClassVar, Final

from textual import work
from textual.app import App, ComposeResult

from rnj_agent.agent.events import Event
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.themes import DARK, THEMES, palette_of
from rnj_agent.agent.tui.widgets.status_bar import StatusBar
from rnj_agent.agent.tui.widgets.transcript import Transcript

_FRAME_S: Final = 1 / 30
_SLICE_S: Final = 0.005
"""Events are folded for so long at a stretch; then keys get their turn."""


class RnjApp(App[None]):
    CSS_PATH = "app.tcss"
    TITLE = "rnj-agent"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = True

    def __init__(self, events: AsyncIterator[Event]) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.animation_level = "none"
        self.conversation = Conversation()
        self._events = events
        self._frame_is_due = False
        self._frame_took_s = 0.0

    def compose(self) -> ComposeResult:
        palette = palette_of(self.current_theme)
        yield Transcript(palette)
        yield StatusBar(palette)

    def on_mount(self) -> None:
        self.query_one(Transcript).show(self.conversation)
        self.follow()

    @work
    async def follow(self) -> None:
        """Fold events as they come; however many come, keys are answered in between."""
        slice_ends_s = time.monotonic() + _SLICE_S
        async for event in self._events:
            self.conversation.apply(event)
            self.plan_frame()
            if time.monotonic() > slice_ends_s:
                await asyncio.sleep(0)
                slice_ends_s = time.monotonic() + _SLICE_S

    def plan_frame(self) -> None:
        """Draw soon: later where the last time took long, so that drawing never takes it all."""
        if not self._frame_is_due:
            self._frame_is_due = True
            self.set_timer(max(_FRAME_S, 3 * self._frame_took_s), self._draw_frame)

    def _draw_frame(self) -> None:
        started_s = time.monotonic()
        self._frame_is_due = False
        self.query_one(Transcript).update_blocks()
        self.query_one(StatusBar).show(None, self.conversation.progress)
        self._frame_took_s = time.monotonic() - started_s
