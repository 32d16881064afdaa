"""Show the model where a text that it could not match nearly stands."""

from __future__ import annotations

import difflib

_MAX_LINES = 20
_MAX_FILE_LINES = 20_000
_CUTOFF = 0.6


def line_of(text: str, offset: int) -> int:
    """The number, from 1, of the line that holds ``offset``."""
    return text.count("\n", 0, offset) + 1


def numbered(lines: list[str], first: int, last: int) -> list[str]:
    """Lines ``first`` to ``last`` (from 1, both included, clipped) with their numbers."""
    first, last = max(1, first), min(len(lines), last)
    return [f"{number:>5}  {lines[number - 1]}" for number in range(first, last + 1)]


def describe_nearest(text: str, old: str) -> str:
    """Where ``text`` comes nearest to ``old``, and how it differs, in words and lines."""
    lines, wanted = text.split("\n")[:_MAX_FILE_LINES], old.strip("\n").split("\n")
    start = _nearest_start(lines, wanted)
    if start is None:
        return "Nothing in the file is close to it. Read the file and copy the lines exactly."
    end = start + len(wanted)
    same_but_space = [line.strip() for line in lines[start:end]] == [
        line.strip() for line in wanted
    ]
    how = "It differs only in white space from" if same_but_space else "The closest lines are"
    shown = numbered(lines, start + 1, min(end, start + _MAX_LINES))
    return "\n".join([f"{how} these, copy them exactly:", *shown])


def _nearest_start(lines: list[str], wanted: list[str]) -> int | None:
    """Index of the line in ``lines`` that corresponds to the first of ``wanted``."""
    stripped, sought = [line.strip() for line in lines], [line.strip() for line in wanted]
    matcher = difflib.SequenceMatcher(None, sought, stripped, autojunk=False)
    match = matcher.find_longest_match()
    if match.size and any(sought[match.a : match.a + match.size]):
        return max(0, match.b - match.a)
    for offset, line in enumerate(sought):
        close = difflib.get_close_matches(line, stripped, n=1, cutoff=_CUTOFF) if line else []
        if close:
            return max(0, stripped.index(close[0]) - offset)
    return None
