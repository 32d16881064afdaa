"""The text files of a repository, read once for all that is told and guessed about it.

Bounded: what is large, binary or behind a symbolic link is left out, and so is what comes late in a
repository of very many files, where code goes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rnj_agent.agent.fix.repository import CopiedFile
from rnj_agent.agent.fix.test_files import is_test_file
from rnj_agent.tools.syntax.languages import language_of

MAX_FILE_BYTES = 256 * 1024
MAX_READ_BYTES = 32 * 1024**2
MAX_READ_FILES = 10_000
_REGULAR_FILES = (0o100644, 0o100755)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    path: str
    text: str
    is_test: bool

    @property
    def stem(self) -> str:
        """The name up to its first dot."""
        return PurePosixPath(self.path).name.split(".", 1)[0]


def read_sources(
    root: Path, files: Iterable[CopiedFile], *, test_command: str = ""
) -> tuple[SourceFile, ...]:
    """Read what is text, by path.

    Args:
        root: the user's repository; it is only read.
        files: what the snapshot holds.
        test_command: what it names are tests.
    """
    found: list[SourceFile] = []
    left = MAX_READ_BYTES
    linked: dict[str, bool] = {}
    for file in sorted(files, key=lambda file: (language_of(file.path) is None, file.path)):
        if not _is_candidate(file) or left < file.size_bytes:
            continue
        if len(found) >= MAX_READ_FILES:
            break
        left -= file.size_bytes
        text = "" if _is_linked(root, file.path, linked) else _read_text(f"{root}/{file.path}")
        if text:
            is_test = is_test_file(file.path, test_command)
            found.append(SourceFile(path=file.path, text=text, is_test=is_test))
    return tuple(sorted(found, key=lambda source: source.path))


def _is_candidate(file: CopiedFile) -> bool:
    if not file.path.isprintable():  # it could not be told, nor typed into a command
        return False
    return file.mode in _REGULAR_FILES and 0 < file.size_bytes <= MAX_FILE_BYTES


def _is_linked(root: Path, path: str, known: dict[str, bool]) -> bool:
    """Whether a folder on the way is a symbolic link; ``known`` is asked first."""
    end = path.find("/")
    while end >= 0:
        folder = path[:end]
        if folder not in known:
            known[folder] = (root / folder).is_symlink()
        if known[folder]:
            return True
        end = path.find("/", end + 1)
    return False


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_FILE_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if "\0" in text else text
