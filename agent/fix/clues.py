"""What an issue and a test run name: paths, places in files, identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from rnj_agent.agent.fix.word_match import plain_words

_MAX_TEXT_CHARS = 200_000
_MAX_NAMES = 300
# Each pattern begins where nothing of its kind stands before it: else long words take ages.
_CODE_SPAN = re.compile(r"`([^`\n]+)`|^(?: {4}|\t|>>> )(.+)$|\b(\w+)\(", re.MULTILINE)
_TYPICAL_NAME = re.compile(r"\b(?:[a-z0-9]+_\w+|[A-Z][a-z0-9]+[A-Z]\w*|\w+\.\w[\w.]*)\b")
_PATH = re.compile(r"(?<![\w./\\-])[\w./\\-]{0,400}\w\.\w{1,6}\b")
# "a/b.py:12", "a/b.cs(12", 'File "a/b.py", line 12'
_PLACE = re.compile(r"(?<![\w./\\-])([\w./\\-]{0,400}\w\.\w{1,6})(?:\", line |:|\()(\d{1,7})\b")
_UP_AND_HERE = re.compile(r"\A(?:\.{0,2}/)+")
IDENTIFIER = re.compile(r"[A-Za-z_]\w{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What the issue and the tests name."""

    test_command: str = ""
    """As the user gave it: what it names are tests."""

    paths: frozenset[str]
    """Paths and file names, as they stand in the text."""
    names: frozenset[str]
    """Identifiers in code, and words that can hardly be anything else."""
    places: frozenset[tuple[str, int]] = frozenset()
    """Path and line, counted from 1, as compilers and tracebacks print them."""
    words: frozenset[str] = frozenset()
    """Of the issue's plain text."""

    def names_path(self, path: str) -> bool:
        """Whether the text has the path, alone or behind the folder that it ran in."""
        return any(path == clue or clue.endswith(f"/{path}") for clue in self.paths)

    def names_file(self, path: str) -> bool:
        """Whether the text has the file's name, in whichever folder."""
        name = PurePosixPath(path).name
        return any(clue == name or clue.endswith(f"/{name}") for clue in self.paths)

    def lines_in(self, path: str) -> frozenset[int]:
        return frozenset(
            line for clue, line in self.places if clue == path or clue.endswith(f"/{path}")
        )


def read_clues(issue: str, *, test_output: str = "", test_command: str = "") -> Clues:
    """Collect paths and names from an issue and from what a test run printed."""
    whole = f"{issue}\n{test_output}"[:_MAX_TEXT_CHARS]
    spans = " ".join(" ".join(groups) for groups in _CODE_SPAN.findall(whole))
    spans += " " + " ".join(_TYPICAL_NAME.findall(whole))
    names = dict.fromkeys(IDENTIFIER.findall(spans))
    return Clues(
        test_command=test_command,
        paths=frozenset(_plain(_PATH.findall(whole))),
        names=frozenset(list(names)[:_MAX_NAMES]),
        words=plain_words([issue[:_MAX_TEXT_CHARS]]),
        places=frozenset(
            (path, int(line)) for found, line in _PLACE.findall(whole) for path in _plain([found])
        ),
    )


def _plain(paths: Iterable[str]) -> Iterable[str]:
    return (_UP_AND_HERE.sub("", path.replace("\\", "/")) for path in paths)
