"""The status line at the bottom."""

from __future__ import annotations

import time

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from rnj_agent.agent.live.status import Status
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.draw.status import describe_activity, draw_status
from rnj_agent.agent.tui.progress import Progress


class StatusBar(Widget):
    """Counts the seconds of what goes on; everything else it is told."""

    can_focus = False
    is_asking: reactive[bool] = reactive(False)
    """Whether the person is asked something: then that is what is waited for."""

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._palette = palette
        self._status: Status | None = None
        self._progress = Progress()
        self._num_pieces = 0
        self._what: tuple[str, int] = ("idle", 0)
        self._since_s = time.monotonic()

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tick)

    def show(self, status: Status | None, progress: Progress, num_pieces: int) -> None:
        what = (progress.activity, progress.step)
        if what != self._what:
            self._what, self._since_s = what, time.monotonic()
        shown = self._status, self._progress, self._num_pieces
        if (status, progress, num_pieces) != shown:
            self._status, self._progress, self._num_pieces = status, progress, num_pieces
            self.refresh()

    def set_palette(self, palette: Palette) -> None:
        self._palette = palette
        self.refresh()

    def _tick(self) -> None:
        if self._progress.activity != "idle":
            self.refresh()

    def render(self) -> Text:
        activity = "waits for your answer" if self.is_asking else self._activity()
        return draw_status(
            self._status, self._progress, activity, width=self.size.width, palette=self._palette
        )

    def _activity(self) -> str:
        return describe_activity(
            self._status,
            self._progress,
            elapsed_s=time.monotonic() - self._since_s,
            num_pieces=self._num_pieces,
        )
