"""Long parts of Markdown cut further, so that what is drawn again while a reply grows stays small.

A list of a hundred items, a file's worth of code or a model that repeats itself has no place where
it can be cut and read the same alone. It is cut at a line all the same, code inside fences of its
own; the cost is a list's spacing, or a string in the code that begins in one piece and ends in the
next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_PIECE_CHARS: Final = 1_500
_MAX_PIECE_CHARS: Final = 4 * _PIECE_CHARS
"""Above it even a table is cut."""
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]{0,20})")
_HANGS: Final = re.compile(r"[ \t|]")
"""How a line begins that makes no sense without the one above it, outside of code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    text: str
    """As it stands in the part."""
    opened: str = ""
    """The line that opens the fence which the piece begins in; empty: none."""
    closes: str = ""
    """What closes the fence that it ends in, for there is more of the code."""

    @property
    def source(self) -> str:
        """Markdown that can be drawn alone."""
        return f"{self.opened}{self.text}{self.closes}"


def pieces_of(part: str) -> list[Piece]:
    """The part cut in pieces; only the last may change while text is appended to the part."""
    pieces: list[Piece] = []
    text, opened, begun_in, above = "", "", "", ""
    for line in _short_lines(part):
        if _can_cut(text, line, above, in_code=bool(opened)):
            pieces.append(Piece(text=text, opened=begun_in, closes=_closing(opened, text)))
            text, begun_in = "", opened
        text, above = text + line, line
        if match := _FENCE.match(line):
            opened = _opened_after(opened, match)
    return [*pieces, Piece(text=text, opened=begun_in)]


def _can_cut(text: str, line: str, above: str, *, in_code: bool) -> bool:
    if len(text) < _PIECE_CHARS:
        return False
    if in_code:  # drawing drops empty lines at the ends
        return bool(line.strip() and above.strip()) and not _FENCE.match(line)
    return len(text) >= _MAX_PIECE_CHARS or not _HANGS.match(line)


def _opened_after(opened: str, match: re.Match[str]) -> str:
    mark, language = match[1], match[2]
    if not opened:
        return f"{mark}{language}\n"
    return "" if mark.startswith(_mark_of(opened)) and not language else opened


def _closing(opened: str, text: str) -> str:
    if not opened:
        return ""
    return f"{'' if text.endswith(chr(10)) else chr(10)}{_mark_of(opened)}\n"


def _mark_of(opened: str) -> str:
    match = _FENCE.match(opened)
    assert match is not None
    return match[1]


def _short_lines(part: str) -> Iterator[str]:
    """The lines with their ends, those too long cut behind a word."""
    for line in part.splitlines(keepends=True):
        while len(line) > _MAX_PIECE_CHARS:
            end = line.rfind(" ", 1, _MAX_PIECE_CHARS) + 1 or _MAX_PIECE_CHARS
            yield line[:end]
            line = line[end:]
        yield line
