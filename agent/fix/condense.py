"""The part of a test run's output that tells what is wrong: the first failure, and the count.

One failure is shown where there are many: a small model that sees two works on the last one. Of it
stays what names the test, the values and the lines of the repository: no frames of the runner, and
of a test only the lines before the one that failed, since small models copy what they see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rnj_agent.agent.fix.failure_layouts import FOREIGN_FRAME, LAYOUTS, TOTALS, Layout
from rnj_agent.tools.output import clean

_MAX_READ_CHARS = 1024**2
"""Of the end of an output; what lies before is not looked at."""
_MAX_READ_LINE_CHARS = 1_000
_MAX_LINE_CHARS = 300
_MAX_TOTALS_CHARS = 200
_TOTALS_WITHIN = 4_000
"""Of the end, in characters."""
_SOURCE_LINES = 3
"""Shown before a line that failed, of the function that it is in, beside its first line."""
_LEFT_OUT = "[the rest of the output is left out here]"
_ADDRESS = re.compile(r"<(?:function|bound method|class) '?([\w.]+)'?[^<>\n]*>")
_VOLATILE = re.compile(
    r" ?\(\d+\.\d+ ?m?s\)|(?:; finished)? in \d+\.\d+ ?s\b|(?<=') \(\d+\)(?= panicked)"
)
"""Durations and thread ids: without them the same failure gives the same text."""


def condense(output: str, max_chars: int) -> str:
    """At most about ``max_chars`` of it: the first failure and the count of tests, or both ends."""
    lines = clean(output[-_MAX_READ_CHARS:]).strip("\n").split("\n")
    text = "\n".join(_cut(line, _MAX_READ_LINE_CHARS) for line in lines)
    totals = _totals(text)
    found = _first_failure(text, totals)
    if found is None:
        return _both_ends(text, max_chars)
    layout, failure = found
    room = max(max_chars - _MAX_TOTALS_CHARS - len(_LEFT_OUT), max_chars // 2)
    shown = _both_ends("\n".join(_telling(failure.split("\n"), layout)), room)
    parts = [shown]
    if len(text) > len(shown) + _MAX_TOTALS_CHARS:
        parts.append(_LEFT_OUT)
    if totals is not None:
        parts.append(_tidy(totals[0].strip("= "), _MAX_TOTALS_CHARS))
    return "\n".join(parts)


def _totals(text: str) -> re.Match[str] | None:
    """The last line that counts tests."""
    found = list(TOTALS.finditer(text, max(0, len(text) - _TOTALS_WITHIN)))
    return found[-1] if found else None


def _first_failure(text: str, totals: re.Match[str] | None) -> tuple[Layout, str] | None:
    """How it is laid out, and its text; None if nothing looks like one."""
    for layout in LAYOUTS:
        begins = layout.begins.search(text)
        if begins is None:
            continue
        ends = layout.ends.search(text, min(begins.end() + 1, len(text)))
        end = ends.start() if ends else len(text)
        if totals is not None and begins.end() < totals.start() < end:
            end = totals.start()
        return layout, text[begins.start() : end]
    return None


def _telling(lines: Sequence[str], layout: Layout) -> Iterator[str]:
    """The first line, and of the others those that say something."""
    rest = _without_foreign_frames(
        line for line in lines[1:] if line.strip() and not layout.noise.fullmatch(line)
    )
    yield _tidy(lines[0].strip("_ ") if lines[0].startswith("___") else lines[0])
    for line in _nearest_source(rest) if layout.shows_source else rest:
        yield _tidy(line)


def _tidy(line: str, max_chars: int = _MAX_LINE_CHARS) -> str:
    return _cut(_VOLATILE.sub("", _ADDRESS.sub(r"\1", line)).rstrip(), max_chars)


def _cut(line: str, max_chars: int) -> str:
    if len(line) <= max_chars:
        return line
    return f"{line[: max_chars * 2 // 3]} [...] {line[-max_chars // 3 :]}"


def _without_foreign_frames(lines: Iterable[str]) -> Iterator[str]:
    """Without the lines of a stack that lie elsewhere, and what is indented below them."""
    indent: int | None = None
    for line in lines:
        own = len(line) - len(line.lstrip())
        if FOREIGN_FRAME.search(line):
            indent = own
        elif indent is None or own <= indent:
            indent = None
            yield line


def _nearest_source(lines: Iterable[str]) -> Iterator[str]:
    """Of each function its first line and the last ones before what failed in it."""
    source: list[str] = []
    for line in lines:
        if line.startswith("    "):
            source.append(line)
            continue
        yield from source[:1]
        yield from source[1:][-_SOURCE_LINES:]
        source.clear()
        yield line
    yield from source[-_SOURCE_LINES:]


def _both_ends(text: str, max_chars: int) -> str:
    """Its first and last lines, with how much lies between, if it is longer."""
    if len(text) <= max_chars:
        return text
    head, tail = text[: max_chars * 2 // 3], text[-(max_chars // 3) :]
    head = head.rsplit("\n", 1)[0]
    tail = tail.split("\n", 1)[-1]
    num_gone = len(text) - len(head) - len(tail)
    return f"{head}\n[{num_gone:,} characters left out here]\n{tail}"
