"""What an edit's texts may mean that do not stand in the file as they are written.

Models copy more than the text: the line numbers they were shown, the fence around a block, one more
level of escapes. What is left out has to be in ``old`` on every line, never on some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBERED = re.compile(r" *(\d+)(\t| {2}|: |:|\| |→|$)(.*)", re.DOTALL)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})[^\n`]*\n(.*?)\n?[ \t]*\1[ \t]*\n?\s*", re.DOTALL)
_ESCAPES = re.compile(r"\\([nrt\"'\\])")
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    old: str
    new: str
    how: str = ""
    """What was left out; empty: nothing."""
    near: int = 0
    """The line where ``old`` stands by its own word; 0: it gives none."""
    unescaped: bool = False
    """Escapes were read, which is a guess where ``new`` has some of its own."""


def readings(old: str, new: str) -> Iterator[Reading]:
    """The texts as they are, then as they may have been meant; the likeliest first."""
    yield Reading(old=old, new=new)
    unfenced = without_fence(old)
    if unfenced != old:
        yield Reading(old=unfenced, new=without_fence(new), how="without the fences")
    numbered = _numbered(old)
    if numbered is not None:
        stripped = _without_numbers(new, numbered.mark)
        if stripped is not None:
            how = "without the line numbers"
            yield Reading(old=numbered.text, new=stripped, how=how, near=numbered.first)
    if "\n" not in old and "\\n" in old:
        how = "with its escapes read"
        yield Reading(old=_unescaped(old), new=_unescaped(new), how=how, unescaped=True)


def without_fence(text: str) -> str:
    """What stands between a fence's two lines, if that is all of the text."""
    match = _FENCE.fullmatch(text)
    return match.group(2) + "\n" if match else text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbered:
    first: int
    mark: str
    """What stands between a number and its line."""
    text: str


def _numbered(text: str) -> _Numbered | None:
    """Lines that are numbered one by one; None where they are not."""
    body = text.removesuffix("\n")
    found = [match for line in body.split("\n") if (match := _NUMBERED.fullmatch(line))]
    if len(found) != body.count("\n") + 1:
        return None
    numbers = [int(match.group(1)) for match in found]
    marks = {match.group(2) for match in found if match.group(2)}
    if len(marks) != 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return None
    stripped = "\n".join(match.group(3) for match in found) + text[len(body) :]
    return _Numbered(first=numbers[0], mark=marks.pop(), text=stripped)


def _without_numbers(text: str, mark: str) -> str | None:
    """``text`` if no line is numbered, whatever the numbers if all are, None if some are."""
    lines = text.split("\n")
    found = [_NUMBERED.fullmatch(line) for line in lines]
    if not any(match and match.group(2) == mark for match in found):
        return text
    if any(line.strip() and not match for line, match in zip(lines, found, strict=True)):
        return None
    return "\n".join(match.group(3) if match else "" for match in found)


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(lambda found: _UNESCAPED.get(found.group(1), found.group(1)), text)
