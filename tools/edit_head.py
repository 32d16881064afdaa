"""An edit whose ``old`` is only the head of a definition, and whose ``new`` is all of it.

Done to the letter it leaves the old body behind the new one. A guard that is put in at a function's
start looks alike, but does not repeat what follows it.
"""

from __future__ import annotations

import dataclasses
import textwrap

from rnj_agent.tools.edit_match import Edited
from rnj_agent.tools.syntax.symbols import Symbol, definitions

_REPEATED_SHARE = 0.5
"""Of the old body's lines."""


def without_old_body(path: str, before: str, edited: Edited, old: str, new: str) -> Edited:
    """The edit without the old body behind it, where ``new`` repeats that; else as it is.

    Args:
        path: names the language.
        before: the file before the edit.
        edited: the file after it.
        old: what was replaced.
        new: what stands there now.
    """
    if new.count("\n") <= old.count("\n"):
        return edited
    last = edited.first + old.strip("\n").count("\n")
    lost = _definition_at(path, before, edited.first, last)
    if lost is None or not _defines(path, new, lost.name):
        return edited
    body = [line.strip() for line in before.split("\n")[last : lost.last_line] if line.strip()]
    repeated = {line.strip() for line in new.split("\n")}
    if sum(line in repeated for line in body) < max(2, _REPEATED_SHARE * len(body)):
        return edited
    made = edited.text.split("\n")[: edited.first - 1 + edited.num_lines]
    text = "\n".join([*made, *before.split("\n")[lost.last_line :]])
    how = f"as the head of {lost.name}, all of which new stands for"
    return dataclasses.replace(edited, text=text, how=how)


def _definition_at(path: str, text: str, first: int, last: int) -> Symbol | None:
    """The definition that begins in these lines and goes on behind them."""
    for symbol in definitions(path, text.encode()):
        if symbol.kind != "value" and symbol.first_line <= first <= symbol.line <= last:
            return symbol if last < symbol.last_line else None
    return None


def _defines(path: str, text: str, name: str) -> bool:
    """Whether the text is one definition of this name."""
    text = textwrap.dedent(text).strip("\n")
    found = [symbol for symbol in definitions(path, text.encode()) if symbol.kind != "value"]
    return bool(found) and found[0].name == name and found[0].last_line == text.count("\n") + 1
