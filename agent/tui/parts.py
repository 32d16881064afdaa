"""Where Markdown can be cut so that each part reads the same alone as in the whole."""

from __future__ import annotations

import re
from typing import Final

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_GOES_ON: Final = re.compile(r"[ \t]|[-*+>]|\d{1,9}[.)]|\|")
"""How a line begins that may belong to what stands above it, across an empty line too."""
_PART_CHARS: Final = 1_500


def markdown_parts(source: str) -> list[str]:
    """The source cut behind empty lines, outside code and lists; joined it is the source.

    The last part may still change while text is appended; the others never do.
    """
    parts, lines = [""], source.splitlines(keepends=True)
    fence, after_empty = "", False
    for line in lines:
        if after_empty and not fence and line.strip() and not _GOES_ON.match(line):
            parts.append("")
        parts[-1] += line
        after_empty = not line.strip()
        if ("```" in line or "~~~" in line) and (match := _FENCE.match(line)):
            fence = _fence_after(fence, match[1], line)
    return parts


def _fence_after(fence: str, mark: str, line: str) -> str:
    """The fence that is open behind a line that begins with ``mark``; empty: none."""
    if not fence:
        return mark
    closes = mark.startswith(fence) and line.strip() == mark
    return "" if closes else fence


def joined_parts(source: str) -> list[str]:
    """The parts again, small neighbours joined: neither many nor large."""
    joined = [""]
    for part in markdown_parts(source):
        if joined[-1] and len(joined[-1]) + len(part) > _PART_CHARS:
            joined.append("")
        joined[-1] += part
    return joined
