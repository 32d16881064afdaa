"""Diffs that models write by hand: what goes and what comes, without trusting their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"(?:diff |index |--- |\+\+\+ )")


def read_hunks(block: str) -> Sequence[tuple[str, str]]:
    """Old and new text of each hunk; none where the block is no diff.

    A hunk ends at ``@@`` or where removed lines follow added ones. Each must remove something:
    where added lines alone belong, nobody knows.
    """
    lines = [line for line in block.splitlines() if not _HEADER.match(line)]
    marks = {line[0] for line in lines if line.strip()}
    if not {"-", "+"} <= marks or marks - set("-+ @\\"):
        return ()
    hunks: list[tuple[list[str], list[str]]] = [([], [])]
    previous = ""
    for line in lines:
        mark, text = line[:1], line[1:]
        if mark == "@" or (mark == "-" and previous == "+"):
            hunks.append(([], []))
        if mark in {"-", " ", ""}:
            hunks[-1][0].append(text)
        if mark in {"+", " ", ""}:
            hunks[-1][1].append(text)
        previous = mark
    found = [("\n".join(old), "\n".join(new)) for old, new in hunks if old or new]
    return found if all(old.strip() for old, _ in found) else ()
