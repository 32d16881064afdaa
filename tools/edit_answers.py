"""What the model is told of its edits: the lines as they stand now, or the way to do it."""

from __future__ import annotations

from rnj_agent.tools.edit_match import Edited, Several
from rnj_agent.tools.nearest import numbered
from rnj_agent.tools.rewrite import Rewrite, hunks_of

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


def rewritten(path: str, before: str, done: Rewrite) -> str:
    """The lines that a whole new text changed."""
    lines, shown = done.text.split("\n"), list[str]()
    for hunk in hunks_of(before.split("\n"), lines):
        shown += ["…"] if shown else []
        shown += _around(lines, hunk.from_new + 1, hunk.to_new)
    what = f" ({', '.join(done.replaced)} replaced)" if done.replaced else ""
    return "\n".join([f"Edited {path}{what}; its other lines are as they were. Now:", *_cut(shown)])


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


def not_overwritten(path: str, before: str, text: str = "", *, why: str = "") -> str:
    """What became of a text that was not taken for the file, and which edit to make instead."""
    num_lines = len(before.rstrip("\n").split("\n"))
    told = (
        f"{path} exists already and has {num_lines} lines; it was not overwritten"
        f"{': ' if why else ''}{why}. To change it, call edit with old set to the exact lines to "
        "replace and new to what shall stand there."
    )
    pieces = _only_change(before.rstrip("\n").split("\n"), text.rstrip("\n").split("\n"))
    if not text or pieces is None:
        return f"{told} Read the file first if you have not."
    old, new = pieces
    return "\n".join([told, "Your text changes only this. old:", *old, "new:", *new])


def _only_change(old: list[str], new: list[str]) -> tuple[list[str], list[str]] | None:
    """The lines that differ, with one around them, if they are few and in one place."""
    if len(new) < len(old) // 2 or len(hunks := hunks_of(old, new)) != 1:
        return None
    (hunk,) = hunks
    above, below = old[: hunk.from_old][-1:], old[hunk.to_old :][:1]
    before = [*above, *old[hunk.from_old : hunk.to_old], *below]
    after = [*above, *new[hunk.from_new : hunk.to_new], *below]
    return (before, after) if max(len(before), len(after)) <= _MAX_HUNK_LINES else None


def _around(lines: list[str], first: int, last: int) -> list[str]:
    if lines and not lines[-1]:
        lines = lines[:-1]  # what stands behind the last line's end is no line
    return numbered(lines, first - _CONTEXT_LINES, last + _CONTEXT_LINES)


def _cut(shown: list[str]) -> list[str]:
    if len(shown) <= _MAX_SHOWN_LINES:
        return shown
    half = _MAX_SHOWN_LINES // 2
    return [*shown[:half], f"[{len(shown) - 2 * half} lines not shown]", *shown[-half:]]
