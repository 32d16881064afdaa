"""Which source files the model is shown before it asks: those that issue and tests point at.

Small models spend their steps, and their window, on finding the file; the words of the issue and
of the failing tests usually name it. Nothing here knows a language: a definition is a name behind
a keyword that some language uses for one. Test files are not shown, since small models copy from
them; a ranked map of a whole repository is not built here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rnj_agent.agent.fix.repository import CopiedFile, has_symlinked_parent
from rnj_agent.agent.fix.test_files import is_test_file
from rnj_agent.prompts import SourceExcerpt

MAX_EXCERPT_CHARS = 12_000
"""Of all that is shown; of a small window a quarter at most."""
_CHARS_PER_TOKEN = 3
MAX_FILE_BYTES = 256 * 1024
MAX_SCANNED_BYTES = 32 * 1024**2
CONTEXT_LINES = 30
"""Lines shown on each side of a definition, where a file is too long to show whole."""

_REGULAR_FILES = (0o100644, 0o100755)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{2,}")
_CODE_SPAN = re.compile(r"`([^`\n]+)`|^(?: {4}|\t|>>> )(.+)$|(\w+)\(", re.MULTILINE)
_TYPICAL_NAME = re.compile(r"\b(?:[a-z0-9]+_\w+|[A-Z][a-z0-9]+[A-Z]\w*|\w+\.\w[\w.]*)\b")
_DEFINITION = (
    r"^[^\n#/]*\b(?:def|class|function|func|fn|fun|sub|struct|enum|trait|interface|type|module|"
    r"const|let|var|val|static|public|private|protected|void|int|double|float|char|bool|string)"
    r"\b[^\n(=]*?\b{name}\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What the issue and the tests name."""

    test_command: str = ""
    """As the user gave it: what it names are tests."""

    paths: frozenset[str]
    """Paths and file names, as they stand in the text."""
    names: frozenset[str]
    """Identifiers in code, and words that can hardly be anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    path: str
    text: str
    score: float
    definitions: tuple[int, ...]
    """Lines, from 0, where a name from the clues is defined."""


def read_clues(issue: str, *, test_output: str = "", test_command: str = "") -> Clues:
    """Collect paths and names from an issue and from what a test run printed."""
    whole = f"{issue}\n{test_output}"
    spans = " ".join(" ".join(groups) for groups in _CODE_SPAN.findall(whole))
    spans += " " + " ".join(_TYPICAL_NAME.findall(whole))
    paths = re.findall(r"[\w./\\-]*\w\.\w{1,6}\b", whole)
    return Clues(
        test_command=test_command,
        paths=frozenset(path.replace("\\", "/").lstrip("./") for path in paths),
        names=frozenset(_IDENTIFIER.findall(spans)),
    )


def excerpt_chars(context_window: int) -> int:
    """How much of a window of so many tokens a first look may take."""
    return min(MAX_EXCERPT_CHARS, context_window * _CHARS_PER_TOKEN // 4)


def first_look(
    root: Path, files: Iterable[CopiedFile], clues: Clues, *, max_chars: int
) -> tuple[SourceExcerpt, ...]:
    """Choose what to show, best first, within ``max_chars``.

    Args:
        root: the user's repository; it is only read.
        files: what the snapshot holds.
        clues: what the issue and the tests name.
        max_chars: characters of all excerpts together.
    """
    chosen: list[SourceExcerpt] = []
    left = max_chars
    for ranked in _rank(root, files, clues):
        excerpt = _excerpt(ranked, left)
        if excerpt is not None:
            chosen.append(excerpt)
            left -= len(excerpt.text)
    return tuple(chosen)


def _rank(root: Path, files: Iterable[CopiedFile], clues: Clues) -> Sequence[_Ranked]:
    found: list[_Ranked] = []
    scanned = 0
    for file in files:
        if not _is_candidate(file, clues) or scanned + file.size_bytes > MAX_SCANNED_BYTES:
            continue
        scanned += file.size_bytes
        text = _read_text(root, file.path)
        if text:
            ranked = _score(file.path, text, clues)
            found.append(ranked)
    pointed_at = [ranked for ranked in found if ranked.score >= 1]
    return sorted(pointed_at, key=lambda ranked: (-ranked.score, len(ranked.text), ranked.path))


def _is_candidate(file: CopiedFile, clues: Clues) -> bool:
    return (
        file.mode in _REGULAR_FILES
        and 0 < file.size_bytes <= MAX_FILE_BYTES
        and not is_test_file(file.path, clues.test_command)
    )


def _read_text(root: Path, path: str) -> str:
    if has_symlinked_parent(root, path):
        return ""
    try:
        text = (root / path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if "\0" in text else text


def _score(path: str, text: str, clues: Clues) -> _Ranked:
    score = 0.0
    if path in clues.paths:
        score += 8
    elif PurePosixPath(path).name in {PurePosixPath(clue).name for clue in clues.paths}:
        score += 4
    if PurePosixPath(path).stem in clues.names:
        score += 2
    words = set(_IDENTIFIER.findall(text))
    definitions: list[int] = []
    for name in clues.names & words:
        score += 0.1
        definition = re.compile(_DEFINITION.replace("{name}", name), re.MULTILINE)
        definitions += [text.count("\n", 0, match.end()) for match in definition.finditer(text)]
    score += 3 * min(len(definitions), 3)
    return _Ranked(path=path, text=text, score=score, definitions=tuple(sorted(set(definitions))))


def _excerpt(ranked: _Ranked, max_chars: int) -> SourceExcerpt | None:
    if len(ranked.text) <= max_chars:
        return SourceExcerpt(path=ranked.path, text=ranked.text, whole=True)
    if not ranked.definitions:
        return None
    lines = ranked.text.splitlines()
    wanted = sorted(
        {
            number
            for definition in ranked.definitions
            for number in range(definition - CONTEXT_LINES // 3, definition + CONTEXT_LINES)
            if 0 <= number < len(lines)
        }
    )
    text = _join_numbered(lines, wanted, max_chars)
    return SourceExcerpt(path=ranked.path, text=text, whole=False) if text else None


def _join_numbered(lines: Sequence[str], wanted: Sequence[int], max_chars: int) -> str:
    """The wanted lines, with ``...`` for what lies between; cut at the end where it is too much."""
    parts: list[str] = []
    size, previous = 0, -1
    for number in wanted:
        gap = ["..."] if number != previous + 1 else []
        size += len(lines[number]) + 1 + 4 * len(gap)
        if size > max_chars:
            break
        parts += [*gap, lines[number]]
        previous = number
    return "\n".join(parts)
