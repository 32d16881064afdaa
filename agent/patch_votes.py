"""Agreement among patches: what each does, without where exactly, and what most of them do.

The idea of voting over normalised patches is Agentless's (https://arxiv.org/abs/2407.01489,
section 3.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What most patches do."""

    winners: frozenset[int]
    """The patches that do it, by number; several groups where they are equally large."""
    num_agreeing: int
    num_patches: int

    def __str__(self) -> str:
        if self.num_agreeing == 1:
            return "no two agree"
        return f"{self.num_agreeing} of {self.num_patches} agree"


def vote(forms: Mapping[int, str]) -> Vote:
    """Count patches by what they do; at least one.

    Args:
        forms: normalised patches, by number.
    """
    votes = Counter(forms.values())
    most = max(votes.values())
    winners = frozenset(number for number, form in forms.items() if votes[form] == most)
    return Vote(winners=winners, num_agreeing=most, num_patches=len(forms))


def normalised(patch: str) -> str:
    """What a patch does, without where exactly and with what spacing: each file's name, then its
    removed and added lines, without blank ones and without spaces at their ends.
    """
    files: dict[str, list[str]] = {}
    lines: list[str] = []
    in_hunk = False
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            lines = files.setdefault(line, [])
            in_hunk = False
        elif line.startswith("@@"):
            in_hunk = True
        elif in_hunk and line[:1] in {"+", "-"} and line[1:].strip():
            lines.append(line.rstrip())
        elif not in_hunk and line.startswith(("new file", "deleted", "rename", "GIT binary")):
            lines.append(line)
    return "\n".join("\n".join([name, *files[name]]) for name in sorted(files))
