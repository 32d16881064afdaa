"""How a download is shown: a bar on a terminal, elsewhere a line at every tenth."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from rnj_agent.runtime.fetch.progress import Progress


class FetchProgress:
    """Takes the hub's reports, from any thread; a context, so that the bar goes away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._last_tenth = -1

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=console,
                refresh_per_second=4,
            )
            self._task = self._bar.add_task("")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            if self._bar is not None and self._task is not None:
                self._bar.update(
                    self._task,
                    description=progress.what,
                    completed=progress.done_bytes,
                    total=progress.total_bytes,
                )
            else:
                self._tell(progress)

    def _tell(self, progress: Progress) -> None:
        tenth = 10 * progress.done_bytes // max(1, progress.total_bytes)
        # Fewer than before: another phase has begun, such as checking what has arrived.
        if tenth != self._last_tenth:
            self._last_tenth = tenth
            done_mb, total_mb = progress.done_bytes / 1e6, progress.total_bytes / 1e6
            click.echo(f"{progress.what}: {done_mb:,.0f} of {total_mb:,.0f} MB", err=True)
