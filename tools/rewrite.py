"""Judge a whole text that is to take the place of a file that exists.

Small models answer best with the whole file, so a text that is clearly the whole file is taken.
One that leaves things out is not: what it does not mention would be lost without a word.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.tools.syntax.errors import new_syntax_errors
from rnj_agent.tools.syntax.symbols import definitions

_MIN_KEPT = 0.5
"""Of the file's lines. A small file whose one function is rewritten keeps about this many."""
_MIN_LENGTH = 0.75
"""Of the file's number of lines."""
_MAX_LOST_LINES = 4
"""In one place, with nothing in their stead."""
_COMMENT = r"(?:#|//|/\*|--|;|%|<!--)"
_MAX_NAMED = 5
_ELISION = re.compile(
    rf"\s*(?:{_COMMENT}\s*)?(?:\.{{3}}|…).*|\s*{_COMMENT}.*\b(?:rest of|omitted|unchanged|"
    r"(?:same )?as (?:before|above)|(?:existing|remaining|previous|other) (?:code|lines|methods|"
    r"functions|implementation))\b.*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines in place of others; both ranges are half open and count from 0."""

    from_old: int
    to_old: int
    from_new: int
    to_new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    hunks: tuple[Hunk, ...]
    objection: str
    """Why the text is not taken for the whole file; empty: it is."""


def judge_rewrite(path: str, old: Sequence[str], new: Sequence[str]) -> Rewrite:
    """What a new text changes, and whether it is all of the file.

    Args:
        path: names the language.
        old: the file's lines.
        new: the lines that are to be the file.
    """
    objection = _elision(old, new) or _breakage(path, old, new) or _loss(path, old, new)
    num_old, num_new = _num_filled(old), _num_filled(new)
    if num_new < _MIN_LENGTH * num_old:
        too_short = f"has only {num_new} of the file's {num_old} lines"
        return Rewrite(hunks=(), objection=objection or too_short)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    hunks = tuple(
        Hunk(from_old=from_old, to_old=to_old, from_new=from_new, to_new=to_new)
        for kind, from_old, to_old, from_new, to_new in matcher.get_opcodes()
        if kind != "equal"
    )
    return Rewrite(hunks=hunks, objection=objection or _difference(old, new, hunks))


def _elision(old: Sequence[str], new: Sequence[str]) -> str:
    known = {line.strip() for line in old}
    for line in new:
        if _ELISION.fullmatch(line) and line.strip() not in known:
            return f"leaves lines out where it says '{line.strip()}'"
    return ""


def _breakage(path: str, old: Sequence[str], new: Sequence[str]) -> str:
    problems = new_syntax_errors(path, _source(old), _source(new))
    return f"breaks the syntax at line {problems[0].line}" if problems else ""


def _loss(path: str, old: Sequence[str], new: Sequence[str]) -> str:
    lost = ", ".join(list(_defined(path, old) - _defined(path, new))[:_MAX_NAMED])
    return f"lacks {lost}" if lost else ""


def _defined(path: str, lines: Sequence[str]) -> Counter[str]:
    """Functions and types by name: a small one can be lost among lines that are kept."""
    symbols = definitions(path, _source(lines))
    return Counter(symbol.name for symbol in symbols if symbol.kind != "value")


def _source(lines: Sequence[str]) -> bytes:
    return "\n".join([*lines, ""]).encode("utf-8", "replace")


def _difference(old: Sequence[str], new: Sequence[str], hunks: Sequence[Hunk]) -> str:
    num_old = _num_filled(old)
    num_kept = num_old - sum(_num_filled(old[hunk.from_old : hunk.to_old]) for hunk in hunks)
    if num_kept < _MIN_KEPT * num_old:
        return f"keeps only {num_kept} of the file's {num_old} lines"
    for hunk in hunks:
        lost = old[hunk.from_old : hunk.to_old]
        if _num_filled(lost) - _num_filled(new[hunk.from_new : hunk.to_new]) > _MAX_LOST_LINES:
            return f"lacks lines {hunk.from_old + 1} to {hunk.to_old} of the file"
    return ""


def _num_filled(lines: Sequence[str]) -> int:
    return sum(1 for line in lines if line.strip())
