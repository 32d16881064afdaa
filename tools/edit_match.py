"""Find the one place that an edit means, and make it there.

A text that does not stand in the file letter for letter is looked for line by line: but for white
space at line ends, at another depth, and at last whatever the white space. The strictest way that
finds anything decides, and only if it finds one place. An edit of nothing but indentation is not
looked for at another depth: made twice, it would move its lines twice. What differs in more than
white space is never taken for a match: other agents do that, by similarity or by the first and last
line alone, and their issues tell of edits in wrong places.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rnj_agent.tools.indentation import reindented

_MAX_LINES_AWAY = 5
_MIN_TELLING_CHARACTERS = 8
"""A shorter text stands in many files by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    text: str
    """The whole file."""
    first: int
    """The number, from 1, of the first line that is new, or of the one behind what is gone."""
    num_lines: int
    how: str = ""
    """What was overlooked for the match; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    lines: tuple[int, ...]
    """Where the places begin, from 1."""


def apply_exactly(text: str, old: str, new: str, *, near: int = 0) -> Edited | Several | None:
    """Replace ``old`` where it stands letter for letter.

    Args:
        text: of the file.
        old: not empty.
        new: what stands there then.
        near: a line that chooses among several places; 0: none.
    """
    starts: list[int] = []
    at = text.find(old)
    while at >= 0:
        starts.append(at)
        at = text.find(old, at + len(old))
    lines = _line_numbers(text, starts)
    chosen = _choose(lines, near)
    if not isinstance(chosen, int):
        return chosen
    start = starts[chosen]
    return Edited(
        text=text[:start] + new + text[start + len(old) :],
        first=lines[chosen],
        num_lines=new.removesuffix("\n").count("\n") + 1,
    )


def apply_tolerantly(text: str, old: str, new: str, *, near: int = 0) -> Edited | Several | None:
    """Replace whole lines that are those of ``old`` but for white space; as ``apply_exactly``."""
    lines = text.split("\n")
    wanted = _without_blank_edges(old.split("\n"))
    if not any(character.isalnum() for line in wanted for character in line):
        return None
    wished = _without_blank_edges(new.split("\n"))
    for key, how in _WAYS:
        sought = [key(line) for line in wanted]
        if sought == [key(line) for line in wished]:
            return None
        starts = _places([key(line) for line in lines], sought)
        chosen = _choose([start + 1 for start in starts], near)
        if isinstance(chosen, Several):
            return chosen
        if chosen is not None:
            return _spliced(lines, starts[chosen], wanted, _lines_of(old, new), how)
    return None


def stands_already(text: str, old: str, new: str) -> int | None:
    """The number of the first line where the lines of ``new`` stand, if they do just once."""
    wanted = _without_blank_edges(new.split("\n"))
    sought = [line.strip() for line in wanted]
    if len("".join(sought)) < _MIN_TELLING_CHARACTERS:
        return None
    moves_only = sought == [line.strip() for line in _without_blank_edges(old.split("\n"))]
    key = str.rstrip if moves_only else str.strip
    starts = _places([key(line) for line in text.split("\n")], [key(line) for line in wanted])
    return starts[0] + 1 if len(starts) == 1 else None


def _solid(line: str) -> str:
    return "".join(line.split())


_WAYS: tuple[tuple[Callable[[str], str], str], ...] = (
    (str.rstrip, "but for white space at line ends"),
    (str.strip, "at another indentation; new was indented like it"),
    (_solid, "but for white space"),
)


def _line_numbers(text: str, offsets: Sequence[int]) -> list[int]:
    numbers: list[int] = []
    line, last = 1, 0
    for offset in offsets:
        line, last = line + text.count("\n", last, offset), offset
        numbers.append(line)
    return numbers


def _choose(lines: Sequence[int], near: int) -> int | Several | None:
    """The index of the only one, or of the one that ``near`` means; None where there is none."""
    if len(lines) < 2:
        return 0 if lines else None
    if near:
        away = sorted((abs(line - near), index) for index, line in enumerate(lines))
        if away[0][0] <= _MAX_LINES_AWAY and away[0][0] < away[1][0]:
            return away[0][1]
    return Several(lines=tuple(lines))


def _places(keys: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Indices where ``wanted`` stands in ``keys``, overlapping ones too."""
    size = len(wanted)
    return [
        start
        for start in range(len(keys) - size + 1)
        if keys[start] == wanted[0] and keys[start : start + size] == wanted
    ]


def _without_blank_edges(lines: list[str]) -> list[str]:
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    return lines[first:last]


def _lines_of(old: str, new: str) -> list[str]:
    """The lines of ``new`` without as many blank edges as ``old`` has, which are not replaced."""
    if not new.strip():
        return []
    lines = [line.rstrip("\r") for line in new.split("\n")]
    core = _without_blank_edges(old.split("\n"))
    num_before = _num_blank(old.split("\n"))
    num_after = len(old.split("\n")) - num_before - len(core)
    before, after = _num_blank(lines), _num_blank(lines[::-1])
    return lines[min(before, num_before) : len(lines) - min(after, max(num_after, 1))]


def _num_blank(lines: Sequence[str]) -> int:
    return next((index for index, line in enumerate(lines) if line.strip()), len(lines))


def _spliced(
    lines: list[str], start: int, old: list[str], new: list[str], how: str
) -> Edited | None:
    """The file with ``new`` in place of the lines that are ``old``; those in both stay as is."""
    standing = lines[start : start + len(old)]
    moved = reindented(new, old=old, standing=standing) if new else []
    if moved is None:
        return None
    end = "\r" if all(line.endswith("\r") for line in standing) else ""
    result: list[str] = []
    ours = [line.rstrip() for line in old]
    matcher = difflib.SequenceMatcher(None, ours, [line.rstrip() for line in new], autojunk=False)
    for kind, from_old, to_old, from_new, to_new in matcher.get_opcodes():
        if kind == "equal":
            result += standing[from_old:to_old]
        else:
            result += [line + end for line in moved[from_new:to_new]]
    edited = "\n".join([*lines[:start], *result, *lines[start + len(old) :]])
    return Edited(text=edited, first=start + 1, num_lines=len(result), how=how)
