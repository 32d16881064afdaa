"""An edit that leaves out its middle: ``...`` on a line of its own, in old and new alike.

What is left out stays as it is, so it is safe: each part is an edit of its own, and all have to
stand in the file, once, and in this order.
"""

from __future__ import annotations

import re

from rnj_agent.tools.edit_match import Edited, apply_tolerantly

_GAP = re.compile(r"^[ \t]*(?:#|//|--|;)?[ \t]*(?:\.{3}|…)[ \t]*\r?(?:\n|\Z)", re.MULTILINE)


def apply_elided(text: str, old: str, new: str) -> Edited | None:
    """Replace part by part; None where a part is not in ``text`` once, behind the one before."""
    olds, news = _GAP.split(old), _GAP.split(new)
    if len(olds) == 1 or len(olds) != len(news):
        return None
    edited: Edited | None = None
    for part, replacement in reversed(list(zip(olds, news, strict=True))):
        if part.split() == replacement.split():
            continue  # only says where the next one is
        edited = _with_one_more(text, edited, part, replacement)
        if edited is None:
            return None
    return edited


def _with_one_more(text: str, later: Edited | None, old: str, new: str) -> Edited | None:
    """A part replaced in front of those that are; None where it does not stand there once."""
    before = later.text if later else text
    done = apply_tolerantly(before, old, new)
    if not isinstance(done, Edited):
        return None
    end = done.first + done.num_lines
    if later is not None:
        if done.first >= later.first:
            return None
        end = later.first + later.num_lines + done.text.count("\n") - before.count("\n")
    num_lines = end - done.first
    return Edited(text=done.text, first=done.first, num_lines=num_lines, how="part by part")
