"""How a quantisation is shown: one line that is rewritten; elsewhere a line at every tenth."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import click

if TYPE_CHECKING:
    from rnj_agent.runtime.quantize.progress import QuantizeProgress

_QUIET_S: Final = 2.0
"""What takes no longer needs no progress."""
_INTERVAL_S: Final = 0.25
_GIGABYTE: Final = 1e9
_ERASE_LINE: Final = "\r\x1b[K"


class QuantizeLine:
    """Takes the quantiser's reports; a context, so that the line goes away."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun_s: float | None = None
        self._begun_bytes = 0
        self._last_s = 0.0
        self._last_tenth = 0
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_shown and self._is_terminal:
            click.echo(_ERASE_LINE, nl=False, err=True)

    def __call__(self, progress: QuantizeProgress) -> None:
        now_s = self._clock()
        if self._begun_s is None:  # an earlier run may have done some: this one's rate counts
            self._begun_s, self._begun_bytes = now_s, progress.source_bytes
        elapsed_s = now_s - self._begun_s
        if elapsed_s < _QUIET_S or not self._is_due(progress, now_s):
            return
        line = _line(progress, (progress.source_bytes - self._begun_bytes) / elapsed_s)
        start = _ERASE_LINE if self._is_terminal else ""
        click.echo(start + line, nl=not self._is_terminal, err=True)
        self._is_shown = True

    def _is_due(self, progress: QuantizeProgress, now_s: float) -> bool:
        if self._is_terminal:
            is_due = now_s - self._last_s >= _INTERVAL_S
            self._last_s = now_s if is_due else self._last_s
            return is_due
        tenth = 10 * progress.source_bytes // max(1, progress.source_bytes_total)
        is_due, self._last_tenth = tenth != self._last_tenth, tenth
        return is_due


def _line(progress: QuantizeProgress, bytes_per_s: float) -> str:
    left_bytes = progress.source_bytes_total - progress.source_bytes
    eta = f", {left_bytes / bytes_per_s:.0f} s left" if bytes_per_s > 0 else ""
    return (
        f"{progress.num_tensors} of {progress.num_tensors_total} tensors, "
        f"{progress.source_bytes / _GIGABYTE:.1f} of {progress.source_bytes_total / _GIGABYTE:.1f} "
        f"GB, {bytes_per_s / _GIGABYTE:.2f} GB/s{eta}"
    )
