"""Textual's driver, for a terminal that may go away: the app then leaves in order.

Without it the thread that writes dies with the terminal, and the app waits for ever to hand it its
next frame. On Windows there is nothing like it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = cast(TextIO, _LastingFile(self._file, self._leave))

    def run_input_thread(self) -> None:
        """Read keys until the app stops, or the terminal is gone."""
        try:
            super().run_input_thread()
        except OSError:
            self._leave()

    def _leave(self) -> None:
        self._app.call_later(self._app.action_quit)


class _LastingFile:
    """Writes as long as somebody is there to read; tells once that nobody is."""

    def __init__(self, file: TextIO, on_gone: Callable[[], None]) -> None:
        self._file = file
        self._on_gone = on_gone
        self._is_gone = False

    def write(self, text: str) -> None:
        if self._is_gone:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError:
            self._is_gone = True
            self._on_gone()

    def flush(self) -> None:
        """Each write is flushed: what fails is then known to be the terminal."""

    def fileno(self) -> int:
        return self._file.fileno()
