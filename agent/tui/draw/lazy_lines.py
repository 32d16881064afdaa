"""The lines of a long output that was opened: only those in view are ever decoded and drawn.

How many rows each takes is counted beforehand, which is cheap where a line is plain ASCII. Lines
are folded at the width, not between words, and a colour ends with its line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Self, overload

from rich.cells import chop_cells
from rich.text import Text

from rnj_agent.agent.tui.draw.ansi import output_lines, split_lines, without_colours
from rnj_agent.agent.tui.draw.canvas import Canvas, Line


class LazyLines(Sequence[Line]):
    """``before``, then the output behind a bar, then an empty line."""

    def __init__(self, before: Sequence[Line], output: str, canvas: Canvas, *, bar: Text) -> None:
        self._before = before
        self._canvas = canvas
        self._bar = bar
        self._room = max(1, canvas.width - len(bar.plain))
        self._lines = split_lines(output)
        plain = without_colours("\n".join(self._lines)).split("\n")
        rows = map(self._num_rows, self._lines, plain)
        self._starts = [0, *accumulate(rows)]
        """The row where each line begins, and the one behind the last."""

    def behind(self, before: Sequence[Line]) -> Self:
        """The same with these lines in front."""
        self._before = [*before, *self._before]
        return self

    def __len__(self) -> int:
        return len(self._before) + self._starts[-1] + 1

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        row = index - len(self._before)
        if row < 0:
            return self._before[index]
        if row >= self._starts[-1]:
            return []
        number = bisect_right(self._starts, row) - 1
        return self._drawn(self._lines[number], row - self._starts[number])

    def _num_rows(self, line: str, plain: str) -> int:
        if plain.isascii() and plain.isprintable():
            return max(1, -(-len(plain) // self._room))
        return max(1, len(chop_cells(self._decoded(line).plain, self._room)))

    def _decoded(self, line: str) -> Text:
        lines = output_lines(line, has_colour=self._canvas.palette.has_colour)
        return lines[0] if lines else Text()

    def _drawn(self, line: str, row: int) -> Line:
        text = self._decoded(line)
        folds = accumulate(len(part) for part in chop_cells(text.plain, self._room))
        rows = text.divide(folds)
        shown = rows[row] if row < len(rows) else Text()
        return self._canvas.cropped(shown, prefix=self._bar)
