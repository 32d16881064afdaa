"""Textual's driver, for terminals as they are: one that goes away, one that stops reading.

Without it the thread that writes dies with the terminal, and the app waits for ever to hand it its
next frame; and where the terminal stands still (Ctrl+S, a connection that hangs) the queue of
frames fills and the agent waits with them. Stderr stays what it is: ``2>log`` takes it. On Windows
there is nothing like it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, TextIO, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

_MAX_WAITING: Final = 15
"""Writes that the terminal has not taken; Textual's queue holds 30, and then blocks."""


class TerminalDriver(LinuxDriver):
    """Draws on the terminal that is stdout. While it is behind, nothing is painted."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._lasting = _LastingFile(_open_stdout(), self._leave, self._written)
        self._file = cast(TextIO, self._lasting)
        self._num_writes = 0
        self._pause: ExitStack | None = None

    def write(self, data: str) -> None:
        """Hand it to the thread that writes, and paint no more where that one does not keep up."""
        super().write(data)
        self._num_writes += 1
        if self._pause is None and self._num_writes - self._lasting.num_writes > _MAX_WAITING:
            self._pause = ExitStack()
            self._pause.enter_context(self._app.batch_update())
            self._written()  # it may just have taken the last

    def run_input_thread(self) -> None:
        """Read keys until the app stops, or the terminal is gone."""
        try:
            super().run_input_thread()
        except OSError:
            self._leave()

    def _written(self) -> None:
        """In the thread that writes: where all is taken, painting goes on."""
        if self._pause is not None and self._lasting.num_writes >= self._num_writes:
            self._app.call_later(self._go_on)

    def _go_on(self) -> None:
        if self._pause is not None:
            self._pause.close()
            self._pause = None
            self._app.screen.refresh()

    def _leave(self) -> None:
        self._app.call_later(self._app.action_quit)


def _open_stdout() -> TextIO:
    """Whatever a character is, it can be written."""
    assert sys.__stdout__ is not None, "the app is opened in a terminal only"
    descriptor, encoding = sys.__stdout__.fileno(), sys.__stdout__.encoding
    return os.fdopen(descriptor, "w", encoding=encoding, errors="replace", closefd=False)


class _LastingFile:
    """Writes as long as somebody is there to read; tells once that nobody is."""

    def __init__(
        self, file: TextIO, on_gone: Callable[[], None], on_written: Callable[[], None]
    ) -> None:
        self.num_writes = 0
        """Done, or given up."""
        self._file = file
        self._on_gone = on_gone
        self._on_written = on_written
        self._is_gone = False

    def write(self, text: str) -> None:
        if not self._is_gone:
            try:
                self._file.write(text)
                self._file.flush()
            except OSError:
                self._is_gone = True
                self._on_gone()
        self.num_writes += 1
        self._on_written()

    def flush(self) -> None:
        """Each write is flushed: what fails is then known to be the terminal."""
