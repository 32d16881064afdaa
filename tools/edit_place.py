"""Make an edit in a text: as it is written, else as it may have been meant."""

from __future__ import annotations

import dataclasses

from rnj_agent.tools.edit_elided import apply_elided
from rnj_agent.tools.edit_head import without_old_body
from rnj_agent.tools.edit_match import (
    Edited,
    Several,
    apply_exactly,
    apply_tolerantly,
    stands_already,
)
from rnj_agent.tools.edit_readings import Reading, readings
from rnj_agent.tools.syntax.errors import new_syntax_errors


def edit_text(
    path: str, text: str, old: str, new: str, *, near: int = 0
) -> Edited | Several | None:
    """Replace ``old`` by ``new`` in the only place that it can mean.

    Args:
        path: names the language.
        text: of the file.
        old: what the model takes to stand there.
        new: what shall stand there.
        near: a line that chooses among several places; 0: none.

    Returns:
        None: it means none.
    """
    for reading in readings(old, new):
        found = _apply(path, text, reading, near or reading.near)
        if isinstance(found, Edited) and reading.unescaped and _breaks(path, text, found.text):
            continue
        if isinstance(found, Edited):
            found = without_old_body(path, text, found, reading.old, reading.new)
            how = ", ".join(filter(None, [reading.how, found.how]))
            return dataclasses.replace(found, how=how)
        if found is not None:
            return found
    return apply_elided(text, old, new)


def made_before(text: str, old: str, new: str, found: Edited | None) -> int | None:
    """The line where ``new`` stands, if the edit seems to have been made already.

    Args:
        text: of the file.
        old: what the model takes to stand there.
        new: what shall stand there.
        found: what came of the edit. Where ``new`` holds ``old``, that can be made again and again.
    """
    for reading in readings(old, new):
        line = stands_already(text, reading.old, reading.new)
        if line is None:
            continue
        last = line + reading.new.strip("\n").count("\n")
        if found is None or (reading.old in reading.new and line <= found.first <= last):
            return line
    return None


def _apply(path: str, text: str, reading: Reading, near: int) -> Edited | Several | None:
    if not reading.old.strip():
        return None
    new = _with_line_ends(reading.old, reading.new)
    exact = apply_exactly(text, reading.old, new, near=near)
    if isinstance(exact, Edited) and _may_be_too_shallow(text, reading.old, new):
        deeper = apply_tolerantly(text, reading.old, new, near=near)
        if (
            isinstance(deeper, Edited)
            and _breaks(path, text, exact.text)
            and not _breaks(path, text, deeper.text)
        ):
            return deeper
    return exact or apply_tolerantly(text, reading.old, new, near=near)


def _may_be_too_shallow(text: str, old: str, new: str) -> bool:
    """Whether ``old`` stands behind some indentation that the lines of ``new`` may lack, too."""
    start = text.find(old)
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return bool(line) and line.isspace() and "\n" in new.strip("\n")


def _with_line_ends(old: str, new: str) -> str:
    """``new`` with the line ends around ``old`` that it forgot, or its lines would join others."""
    if not new:
        return new
    start = "\n" if old.startswith("\n") and not new.startswith("\n") else ""
    end = "\n" if old.endswith("\n") and not new.endswith("\n") else ""
    return start + new + end


def _breaks(path: str, before: str, after: str) -> bool:
    return bool(new_syntax_errors(path, before.encode(), after.encode()))
