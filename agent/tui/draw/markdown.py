"""Markdown as lines, part by part, so that a reply that grows is drawn only at its end.

A part that another one follows never changes again: it is drawn once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from rnj_agent.agent.tui.draw.canvas import Canvas, Line, blank
from rnj_agent.agent.tui.parts import markdown_parts
from rnj_agent.agent.tui.pieces import Piece, pieces_of
from rnj_agent.agent.wording import printable

_MAX_COLUMNS: Final = 110
"""Of prose: longer lines are hard to read."""
_MAX_CHARS: Final = 200_000
"""Of one block; what is longer is no prose, and is shown as plain text."""
_PARSER: Final = MarkdownIt().enable("strikethrough").enable("table")


class _LeftHeading(Heading):
    LEVEL_ALIGN = {f"h{level}": "left" for level in range(1, 7)}  # noqa: RUF012 - rich's own form


class _Code(CodeBlock):
    """Code on its own background, without a margin above and below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        theme, _, background = self.theme.partition("/")
        code = str(self.text).rstrip()
        if not theme:
            yield Padding(Text(code), (0, 1))
            return
        yield Syntax(
            code,
            self.lexer_name,
            theme=theme,
            background_color=background,
            word_wrap=True,
            padding=(0, 1),
        )


class _Prose(Markdown):
    """The same, made from one parser: rich builds one for each text, which takes longer than the
    text does.
    """

    def __init__(self, source: str, *, code_theme: str, style: Style) -> None:
        self.markup = source
        self.parsed = _PARSER.parse(source)
        self.code_theme = self.inline_code_theme = code_theme
        self.justify = None
        self.style = style
        self.hyperlinks = False
        self.inline_code_lexer = None

    elements = {  # noqa: RUF012 - rich's own form
        **Markdown.elements,
        "heading_open": _LeftHeading,
        "fence": _Code,
        "code_block": _Code,
    }


class GrowingMarkdown:
    """The lines of a text that is only ever appended to; another text starts it anew."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._begin()

    def _begin(self) -> None:
        self._closed = ""
        """What is drawn for good."""
        self._lines: list[Line] = []
        """Of it."""
        self._opened = ""
        """The line that opens the fence which the rest begins in."""
        self._is_cut = False
        """Whether the rest goes on with what stands above it, without a gap."""

    def draw(self, text: str) -> list[Line]:
        if not text.startswith(self._closed):
            self._begin()
        *closed, last = markdown_parts(self._opened + text[len(self._closed) :])
        for part in closed:
            self._close(pieces_of(part))
            self._is_cut = False
        *pieces, tail = pieces_of(last)
        self._close(pieces)
        self._opened = tail.opened or self._opened
        return [*self._lines, *self._drawn(tail)]

    def _close(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._lines += self._drawn(piece)
            self._closed += piece.text.removeprefix(self._opened)
            self._opened, self._is_cut = "", True

    def _drawn(self, piece: Piece) -> list[Line]:
        lines = _draw_block(printable(piece.source), self.canvas)
        return [blank(), *lines] if self._lines and lines and not self._is_cut else lines


def _draw_block(source: str, canvas: Canvas) -> list[Line]:
    if not source.strip():
        return []
    palette = canvas.palette
    if len(source) > _MAX_CHARS:
        return canvas.lines(Text(source.strip("\n"), style=palette.text))
    code_theme = f"{palette.code_theme}/{palette.code_background}"
    narrow = replace(canvas, width=min(canvas.width, _MAX_COLUMNS))
    return _stripped(narrow.lines(_Prose(source, code_theme=code_theme, style=palette.text)))


def _stripped(lines: list[Line]) -> list[Line]:
    """Without the empty lines that the renderer puts around some elements."""
    filled = [number for number, line in enumerate(lines) if any(s.text.strip() for s in line)]
    return lines[filled[0] : filled[-1] + 1] if filled else []
