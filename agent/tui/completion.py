"""What a word in the prompt may become: a /command at its start, or an @file anywhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

_COMMAND: Final = re.compile(r"/[\w-]*\Z")
_MENTION: Final = re.compile(r"(?:^|\s)@([^\s@]*)\Z")
_SKIPPED: Final = frozenset(
    {".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".rnj", ".mypy_cache"}
)
_MAX_FILES: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The word before the cursor that can be completed."""

    kind: Literal["command", "file"]
    word: str
    """Without its ``/`` or ``@``."""


def wanted(before_cursor: str) -> Wanted | None:
    """What the text before the cursor asks to complete."""
    if _COMMAND.match(before_cursor):
        return Wanted(kind="command", word=before_cursor[1:])
    if match := _MENTION.search(before_cursor):
        return Wanted(kind="file", word=match[1])
    return None


def best_matches(word: str, candidates: Iterable[str], *, limit: int = 8) -> list[str]:
    """Candidates that hold the word's letters in order, the closest first."""
    scored = [(score, name) for name in candidates if (score := _distance(word, name)) is not None]
    return [name for _, name in sorted(scored)[:limit]]


def _distance(word: str, name: str) -> tuple[int, int] | None:
    """Smaller is closer; None: no match."""
    lowered, wanted_word = name.lower(), word.lower()
    base = lowered.rstrip("/").rpartition("/")[2]
    if base.startswith(wanted_word) or lowered.startswith(wanted_word):
        return 0, len(name)
    if wanted_word in lowered:
        return 1, len(name)
    letters = iter(lowered)
    return (2, len(name)) if all(letter in letters for letter in wanted_word) else None


def repository_files(root: Path, *, limit: int = _MAX_FILES) -> Sequence[str]:
    """Paths below ``root``, without what nobody mentions; folders end in a slash."""
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        lead = os.path.relpath(folder, root)
        lead = "" if lead == "." else f"{lead}/"
        found += [f"{lead}{name}/" for name in folders]
        found += [f"{lead}{name}" for name in sorted(files)]
        if len(found) >= limit:
            return found[:limit]
    return found
