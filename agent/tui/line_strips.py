"""Strips of the lines that were on the screen last: most of a frame is what stood there before."""

from __future__ import annotations

from typing import Final, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from rnj_agent.agent.tui.draw.canvas import Line

_MAX_STRIPS: Final = 400
_Key: TypeAlias = tuple[Segment, int, Style]


class LineStrips:
    """Keeps the strip of each line for as long as the line is the same object."""

    def __init__(self) -> None:
        self._strips: dict[int, tuple[Line, _Key, Strip]] = {}

    def strip(self, number: int, line: Line, gutter: Segment, width: int, base: Style) -> Strip:
        """A line behind its gutter, ``width`` columns wide, as line ``number`` of the whole."""
        key = (gutter, width, base)
        known = self._strips.get(number)
        if known is not None and known[0] is line and known[1] == key:
            return known[2]
        strip = Strip([gutter, *line]).apply_style(base).crop_extend(0, width, base)
        strip = strip.apply_offsets(0, number)
        if len(self._strips) >= _MAX_STRIPS:
            self._strips.clear()
        self._strips[number] = (line, key, strip)
        return strip
