"""What the model is told of its edits: the lines as they stand now, or the way to do it."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.tools.edit_match import Edited, Several
from rnj_agent.tools.nearest import numbered
from rnj_agent.tools.rewrite import Hunk, Rewrite

_MAX_SHOWN_LINES = 40
_CONTEXT_LINES = 3
_MAX_PLACES = 10
_MAX_HUNK_LINES = 12


def changed(path: str, edited: Edited) -> str:
    """The lines as they stand now, with their numbers and a few around them."""
    how = f" (old matched {edited.how})" if edited.how else ""
    last = edited.first + edited.num_lines - 1
    shown = _around(edited.text.split("\n"), edited.first, last)
    return "\n".join([f"Edited {path}{how}. Now:", *_cut(shown)])


def rewritten(path: str, lines: list[str], hunks: Sequence[Hunk]) -> str:
    """The lines that a whole new text changed."""
    shown: list[str] = []
    for hunk in hunks:
        shown += ["…"] if shown else []
        shown += _around(lines, hunk.from_new + 1, hunk.to_new)
    return "\n".join([f"Edited {path}, whose other lines stay as they were. Now:", *_cut(shown)])


def ambiguous(path: str, several: Several) -> str:
    places = ", ".join(str(line) for line in several.lines[:_MAX_PLACES])
    more = ", …" if len(several.lines) > _MAX_PLACES else ""
    return (
        f"old occurs {len(several.lines)} times in {path}, at lines {places}{more}. Nothing was "
        "changed. Give the right one as line, or take more lines around it into old and new."
    )


def made_before(path: str, text: str, line: int, new: str) -> str:
    last = line + new.strip("\n").count("\n")
    shown = _around(text.split("\n"), line, last)
    told = f"This edit is made: new stands in {path} already, at line {line}. Nothing was changed."
    return "\n".join([told, *_cut(shown)])


def not_overwritten(
    path: str, old: Sequence[str], new: Sequence[str], rewrite: Rewrite | None = None
) -> str:
    """Why a text was not taken for the whole file, and which edit to make instead."""
    why = f": your text {rewrite.objection}" if rewrite else ""
    told = (
        f"{path} exists already and has {len(old)} lines; it was not overwritten{why}. To change "
        "it, call edit with old set to the exact lines to replace and new to what shall stand "
        "there."
    )
    if rewrite is None or len(rewrite.hunks) != 1:
        return f"{told} Read the file first if you have not."
    (hunk,) = rewrite.hunks
    first, last = max(0, hunk.from_old - 1), min(len(old), hunk.to_old + 1)
    before = old[first:last]
    after = [
        *old[first : hunk.from_old],
        *new[hunk.from_new : hunk.to_new],
        *old[hunk.to_old : last],
    ]
    if max(len(before), len(after)) > _MAX_HUNK_LINES:
        return told
    return "\n".join([told, "Your text changes only this. old:", *before, "new:", *after])


def _around(lines: list[str], first: int, last: int) -> list[str]:
    if lines and not lines[-1]:
        lines = lines[:-1]  # what stands behind the last line's end is no line
    return numbered(lines, first - _CONTEXT_LINES, last + _CONTEXT_LINES)


def _cut(shown: list[str]) -> list[str]:
    if len(shown) <= _MAX_SHOWN_LINES:
        return shown
    half = _MAX_SHOWN_LINES // 2
    return [*shown[:half], f"[{len(shown) - 2 * half} lines not shown]", *shown[-half:]]
