"""What is being waited for: a live line on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.status import Status
from rich.text import Text

_HEARTBEAT_S: Final = 30.0


class StatusLine:
    """One wait at a time. ``print_line`` writes a whole line where nothing can be redrawn.

    Without a console (a replay) nothing is shown.
    """

    def __init__(self, console: Console | None, print_line: Callable[[str], None]) -> None:
        self._console = console
        self._print_line = print_line
        self._status: Status | None = None
        self._what = ""
        self._since = 0.0
        self._last_sign = 0.0

    def wait(self, what: str) -> None:
        self.stop()
        self._what = what
        self._since = self._last_sign = time.monotonic()
        if self._console is not None and self._console.is_terminal:
            # Twice a second is enough: the cores belong to the model.
            self._status = self._console.status(Text(what, style="dim"), refresh_per_second=2)
            self._status.start()

    def stop(self) -> None:
        self._what = ""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def tick(self) -> None:
        """Say how long it has been; call it about once a second."""
        if not self._what or self._console is None:
            return
        now = time.monotonic()
        waited = f"{self._what} … {now - self._since:.0f} s"
        if self._status is not None:
            self._status.update(Text(waited, style="dim"))
        elif now - self._last_sign >= _HEARTBEAT_S:
            self._last_sign = now
            self._print_line(waited)
