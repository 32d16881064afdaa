"""Which source the model is shown before it asks: what issue and tests point at.

Small models spend their steps, and their window, on finding the file; the words of the issue and
of the failing tests usually name it. A file is shown whole where that fits, else by whole
definitions. Test files are not shown, since small models copy from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rnj_agent.agent.fix.survey import Outline, Survey
from rnj_agent.prompts import SourceExcerpt
from rnj_agent.tools.syntax.symbols import Symbol

MAX_EXCERPT_CHARS: Final = 12_000
"""Of all that is shown; of a small window a quarter at most."""
_CHARS_PER_TOKEN: Final = 3
_GAP: Final = "..."


def excerpt_chars(context_window: int) -> int:
    """How much of a window of so many tokens a first look may take."""
    return min(MAX_EXCERPT_CHARS, context_window * _CHARS_PER_TOKEN // 4)


def first_look(
    survey: Survey, *, max_chars: int, for_others: int = 0, or_all: bool = False
) -> tuple[SourceExcerpt, ...]:
    """Choose what to show, best first.

    Args:
        survey: of the repository.
        max_chars: characters of all excerpts together.
        for_others: of these, what only the first excerpt may take: other things want room, too.
        or_all: where nothing is pointed at, show all code, if it fits.
    """
    chosen: list[SourceExcerpt] = []
    left = max_chars
    outlines = survey.pointed_at
    if not outlines and or_all:
        code = tuple(one for one in survey.outlines if one.symbols.definitions)
        outlines = code if sum(len(one.text) for one in code) <= max_chars - for_others else ()
    for outline in outlines:
        excerpt = _excerpt(outline, left - (for_others if chosen else 0))
        if excerpt is not None:
            chosen.append(excerpt)
            left -= len(excerpt.text)
    return tuple(chosen)


def _excerpt(outline: Outline, max_chars: int) -> SourceExcerpt | None:
    if len(outline.text) <= max_chars:
        return SourceExcerpt(path=outline.path, text=outline.text, whole=True)
    lines = outline.text.splitlines()
    wanted: set[int] = set()
    for form in (_whole, _head):
        for symbol in outline.named:
            if form is _head and wanted:  # rather one thing whole than the beginnings of many
                break
            more = wanted | form(symbol, outline.symbols.definitions, max_chars, lines)
            if len(_joined(lines, more)) <= max_chars:
                wanted = more
    text = _joined(lines, wanted)
    return SourceExcerpt(path=outline.path, text=text, whole=False) if wanted else None


def _whole(
    symbol: Symbol, known: Sequence[Symbol], _max_chars: int, lines: Sequence[str]
) -> set[int]:
    """Indices of its lines, with the line of each type around it."""
    around = {one.line - 1 for one in known if one.kind != "value" and one.encloses(symbol)}
    last = min(symbol.last_line, len(lines))
    return around | set(range(symbol.first_line - 1, last))


def _head(
    symbol: Symbol, known: Sequence[Symbol], max_chars: int, lines: Sequence[str]
) -> set[int]:
    """As ``_whole``, of what is too long: a function's first lines, or all that a type defines."""
    inner = {one.line - 1 for one in known if one.kind != "value" and symbol.encloses(one)}
    whole = _whole(symbol, known, max_chars, lines)
    kept = {index for index in whole if index < symbol.line}
    if symbol.kind != "function" and inner:
        return kept | inner
    size = sum(len(lines[index]) + 1 for index in kept)
    for index in range(symbol.line, symbol.last_line):
        size += len(lines[index]) + 1
        if size > max_chars // 2:
            break
        kept.add(index)
    return kept


def _joined(lines: Sequence[str], wanted: Iterable[int]) -> str:
    """The wanted lines, with ``...`` for what lies between."""
    parts: list[str] = []
    previous = -1
    for index in sorted(wanted):
        parts += [_GAP] if index != previous + 1 else []
        parts.append(lines[index])
        previous = index
    if parts and previous < len(lines) - 1:
        parts.append(_GAP)
    return "\n".join(parts)
