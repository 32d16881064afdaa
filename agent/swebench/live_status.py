"""The display of a run while it goes on: redrawn on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rnj_agent.agent.swebench.activity import Board, remove_activity, write_activity
from rnj_agent.agent.swebench.figures import span
from rnj_agent.agent.swebench.results import InstanceResult
from rnj_agent.agent.swebench.status import Prices, RunReader, RunView
from rnj_agent.agent.swebench.status_panel import (
    draw_panel,
    pause_line,
    status_style,
    summary_line,
)
from rnj_agent.agent.wording import counted, printable

_READ_S: Final = 1.0
_WRITE_S: Final = 2.0
_LINE_S: Final = 60.0
"""Between two summaries where nothing is redrawn."""


class LiveStatus:
    """Shows a run directory; call ``tick`` about twice a second, it never blocks for long.

    With a board it is the runner's own display, and keeps the board's notes in the directory, from
    which another process's display, which has none, reads them.

        with LiveStatus(root, Console(stderr=True), board=board) as live:
            live.say("pulls 3 images")
            live.finished(result)
            live.tick()
    """

    def __init__(
        self,
        root: Path,
        console: Console,
        *,
        board: Board | None = None,
        prices: Prices | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._console = console
        self._board = board
        self._prices = prices
        self._clock = clock
        self._reader = RunReader(root)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._read_s = self._written_s = float("-inf")
        self._said_s = self._clock()
        self._said_pause = ""
        self._view: RunView | None = None

    @property
    def view(self) -> RunView:
        """The run as it was read last."""
        return self._view or self._read()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        self.tick()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the terminal."""
        if self._board is not None:
            remove_activity(self._root)
        view = self._read()
        if self._live is not None:
            self._live.update(draw_panel(view, self._prices), refresh=True)
            self._live.stop()
        else:
            self.say(summary_line(view, self._prices))

    def say(self, line: str, style: str = "") -> None:
        """One line that stays; above what is redrawn."""
        self._console.print(Text(printable(line), style=style), soft_wrap=True, highlight=False)

    def finished(self, result: InstanceResult) -> None:
        """One line for an instance that has its result."""
        took_s = sum(attempt.duration_s for attempt in result.attempts)
        num_steps = sum(attempt.num_steps for attempt in result.attempts)
        last = result.attempts[-1].detail if result.attempts else ""
        facts = [
            f"{result.instance_id}  {result.status}",
            counted(num_steps, "step"),
            span(took_s),
            "patch" if result.chosen is not None else "no patch",
        ]
        if len(result.attempts) > 1:
            facts.append(counted(len(result.attempts), "attempt"))
        if result.status != "submitted" and last:
            facts.append(last)
        self.say(" · ".join(facts), status_style(result.status))

    def tick(self) -> None:
        """Read, note and redraw what is due."""
        now_s = self._clock()
        if self._board is not None and now_s - self._written_s >= _WRITE_S:
            self._written_s = now_s
            write_activity(self._root, self._board.activity())
        if now_s - self._read_s < _READ_S:
            return
        view = self._read()
        if self._live is not None:
            self._live.update(draw_panel(view, self._prices), refresh=True)
        else:
            self._say_now_and_then(view, now_s)

    def _read(self) -> RunView:
        self._read_s = self._clock()
        self._view = self._reader.read(self._board.activity() if self._board else None)
        return self._view

    def _say_now_and_then(self, view: RunView, now_s: float) -> None:
        """A pause at once, the rest when its time has come."""
        pause = view.activity.pause if view.activity else ""
        if view.activity is not None and pause and not self._said_pause:
            self.say(pause_line(view.activity), "bold yellow")
        elif self._said_pause and not pause:
            self.say("goes on")
        self._said_pause = pause
        if view.num_selected and now_s - self._said_s >= _LINE_S:
            self._said_s = now_s
            self.say(summary_line(view, self._prices))
