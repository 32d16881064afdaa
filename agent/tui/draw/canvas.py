"""Where blocks are drawn: a width, a palette, and the way from renderables to lines of segments."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from rnj_agent.agent.tui.draw.palette import Palette

Line: TypeAlias = list[Segment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    width: int
    """Columns."""
    palette: Palette

    def lines(self, renderable: RenderableType, *, prefix: Text | None = None) -> list[Line]:
        """The renderable's lines, each behind ``prefix``, none wider than the canvas."""
        lead = [Segment(prefix.plain, _style(prefix))] if prefix else []
        console = _console(self.palette)
        room = max(1, self.width - (len(prefix.plain) if prefix else 0))
        options = console.options.update(width=room, height=None, no_wrap=False)
        return [[*lead, *line] for line in console.render_lines(renderable, options, pad=False)]

    def cropped(self, text: Text, *, prefix: Text | None = None) -> Line:
        """The text on one line, whatever its length."""
        lead = [Segment(prefix.plain, _style(prefix))] if prefix else []
        shown = text.copy()
        shown.truncate(
            max(1, self.width - (len(prefix.plain) if prefix else 0)), overflow="ellipsis"
        )
        return [*lead, *_segments(shown, _console(self.palette))]

    def spread(self, left: Text, right: Text) -> list[Line]:
        """``left``, and ``right`` at the end of its first line where both have room."""
        room = self.width - right.cell_len - 2
        if room < 20:
            return [*self.lines(left), *self.lines(right)]
        first, *rest = left.wrap(_console(self.palette), room, tab_size=8) or [Text()]
        first.rstrip()
        gap = Text(" " * (self.width - first.cell_len - right.cell_len))
        return [self.cropped(Text.assemble(first, gap, right)), *map(self.cropped, rest)]


def blank() -> Line:
    return []


def styled(parts: Iterable[tuple[str, Style]]) -> Text:
    """A text of several styles."""
    text = Text()
    for part, style in parts:
        text.append(part, style)
    return text


def _segments(text: Text, console: Console) -> Line:
    return [segment for segment in text.render(console, end="") if segment.text]


def _style(text: Text) -> Style:
    return text.style if isinstance(text.style, Style) else Style.null()


@functools.lru_cache(maxsize=8)
def _console(palette: Palette) -> Console:
    """Draws into nothing; it is asked for lines only."""
    styles = {
        "markdown.h1": palette.heading + Style(underline=True),
        "markdown.h1.border": palette.heading,
        **{f"markdown.h{level}": palette.heading for level in range(2, 7)},
        "markdown.code": palette.code,
        "markdown.code_block": palette.text,
        "markdown.block_quote": palette.dim,
        "markdown.item.bullet": palette.accent,
        "markdown.item.number": palette.accent,
        "markdown.hr": palette.dim,
        "markdown.link": palette.accent,
        "markdown.link_url": palette.accent + Style(underline=True),
        "markdown.table.border": palette.dim,
        "markdown.table.header": palette.heading,
    }
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        width=80,
        theme=Theme(styles),
        highlight=False,
        emoji=False,
        markup=False,
    )
