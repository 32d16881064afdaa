"""Take a whole text for a file that exists, where it is clear what becomes of every line.

Small models answer best with the whole file, or with a whole function, so these are taken. A text
that leaves things out is not: what it does not mention would be lost without a word.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.tools.syntax.errors import new_syntax_errors
from rnj_agent.tools.syntax.splice import SpliceError, splice
from rnj_agent.tools.syntax.symbols import definitions

_MIN_LENGTH = 0.5
"""Of the file's number of lines."""
_MAX_EXACT_LINES = 3_000
"""Longer files are compared more coarsely, or it takes minutes."""
_MAX_LOST_LINES = 4
"""In one place of a file without definitions, which would tell what is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines in place of others; both ranges are half open and count from 0."""

    from_old: int
    to_old: int
    from_new: int
    to_new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    text: str
    replaced: tuple[str, ...]
    """Names of the definitions that the text gives anew; empty: it is the whole file."""


def rewrite(path: str, before: str, text: str) -> Rewrite:
    """The file with ``text`` in place of it, or of the definitions that ``text`` holds.

    Args:
        path: names the language.
        before: the file as it is.
        text: what the model wrote as the file.

    Raises:
        SpliceError: it is neither; the message says why.
    """
    known = {line.strip() for line in before.split("\n")}
    for line in text.split("\n"):
        if line.strip() in {"...", "…"} - known:
            raise SpliceError("your text leaves lines out where it says '...'")
    _check_syntax(path, before, textwrap.dedent(text))
    spliced = splice(path, before, text)
    _check_loss(path, before.split("\n"), spliced.text.split("\n"))
    _check_syntax(path, before, spliced.text)
    is_whole = spliced.text.strip("\n") == text.strip("\n")
    end = before[len(before.rstrip("\n")) :]
    return Rewrite(
        text=spliced.text.rstrip("\n") + end, replaced=() if is_whole else spliced.replaced
    )


def hunks_of(old: Sequence[str], new: Sequence[str]) -> tuple[Hunk, ...]:
    """Where two texts differ."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) > _MAX_EXACT_LINES)
    return tuple(
        Hunk(from_old=from_old, to_old=to_old, from_new=from_new, to_new=to_new)
        for kind, from_old, to_old, from_new, to_new in matcher.get_opcodes()
        if kind != "equal"
    )


def _check_syntax(path: str, before: str, after: str) -> None:
    problems = new_syntax_errors(path, before.encode(), after.encode("utf-8", "replace"))
    if problems:
        raise SpliceError(
            f"your text breaks the syntax at line {problems[0].line}, '{problems[0].text}'"
        )


def _check_loss(path: str, old: Sequence[str], new: Sequence[str]) -> None:
    num_old, num_new = _num_filled(old), _num_filled(new)
    if num_new < _MIN_LENGTH * num_old:
        raise SpliceError(f"your text leaves only {num_new} of its {num_old} lines")
    if definitions(path, "\n".join(old).encode()):
        return
    for hunk in hunks_of(old, new):
        lost = old[hunk.from_old : hunk.to_old]
        if _num_filled(lost) - _num_filled(new[hunk.from_new : hunk.to_new]) > _MAX_LOST_LINES:
            raise SpliceError(f"your text lacks lines {hunk.from_old + 1} to {hunk.to_old}")


def _num_filled(lines: Sequence[str]) -> int:
    return sum(1 for line in lines if line.strip())
