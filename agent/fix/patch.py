"""Read a git patch strictly, as data from someone who may mean harm.

Covered: text and binary files, new and deleted files, renames, mode changes, symbolic links,
quoted paths, files without a newline at their end. Refused, each with a reason: paths that leave
the repository or reach into ``.git``, submodules and other special modes, copies, anything that is
not exactly in the format, and patches beyond the bounds below. Nothing here touches a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.binary_patch import BinaryBody, parse_binary_body
from rnj_agent.agent.fix.patch_header import Header, bare_path, read_header_line, same_path
from rnj_agent.agent.fix.paths import why_unsafe

MAX_PATCH_BYTES = 64 * 1024**2
MAX_PATCH_FILES = 5_000

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: .*)?\n")
_NO_NEWLINE = b"\\ "


class PatchError(WorkspaceError):
    """The patch is malformed, or one that must not be applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    old_start: int
    """Counted from 1; 0 in a new file."""
    old_lines: tuple[bytes, ...]
    """Context and removed lines, with their line ends."""
    new_lines: tuple[bytes, ...]
    num_added: int
    num_removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatch:
    old_path: str | None
    """None: the file is new."""
    new_path: str | None
    """None: the file is deleted."""
    old_mode: int | None = None
    new_mode: int | None = None
    """None where the patch does not say: the mode stays."""
    old_id: str = ""
    new_id: str = ""
    """Blob ids, as long as the patch gives them."""
    hunks: tuple[Hunk, ...] = ()
    binary: BinaryBody | None = None

    @property
    def path(self) -> str:
        """The one to show."""
        path = self.new_path or self.old_path
        assert path is not None
        return path


def parse_patch(text: str) -> tuple[FilePatch, ...]:
    """Read a whole patch; empty text has no files.

    Raises:
        PatchError: it is not exactly a git patch, or must not be applied.
    """
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > MAX_PATCH_BYTES:
        raise PatchError(f"The patch is too large: {len(data):,} bytes.")
    lines = _Lines(data)
    files: list[FilePatch] = []
    while lines.peek():
        try:
            files.append(_check(_parse_file(lines)))
        except ValueError as error:
            raise PatchError(f"The patch is refused at line {lines.number}: {error}.") from error
        if len(files) > MAX_PATCH_FILES:
            raise PatchError(f"The patch changes more than {MAX_PATCH_FILES:,} files.")
    return tuple(files)


class _Lines(Iterator[bytes]):
    """The lines of the patch, each with its line feed, one of them visible in advance."""

    def __init__(self, data: bytes) -> None:
        # A carriage return is part of a line here, unlike in bytes.splitlines.
        parts = data.split(b"\n")
        whole = [part + b"\n" for part in parts[:-1]]
        self._lines = whole + ([parts[-1]] if parts[-1] else [])
        self.number = 0

    def peek(self) -> bytes:
        return self._lines[self.number] if self.number < len(self._lines) else b""

    def __next__(self) -> bytes:
        line = self.peek()
        if not line:
            raise StopIteration
        self.number += 1
        return line


def _parse_file(lines: _Lines) -> FilePatch:
    line = next(lines)
    if not line.startswith(b"diff --git ") or not line.endswith(b"\n"):
        raise ValueError("expected 'diff --git'")
    same = same_path(line[len(b"diff --git ") : -1])
    header = Header(old_path=same, new_path=same)
    while read_header_line(lines.peek(), header):
        next(lines)
    hunks, binary = _parse_body(lines, header)
    if header.old_path is None or header.new_path is None or (header.is_new and header.is_deleted):
        raise ValueError("it does not say which file it changes")
    return FilePatch(
        old_path=None if header.is_new else header.old_path,
        new_path=None if header.is_deleted else header.new_path,
        old_mode=header.old_mode,
        new_mode=header.new_mode,
        old_id=header.old_id,
        new_id=header.new_id,
        hunks=hunks,
        binary=binary,
    )


def _parse_body(lines: _Lines, header: Header) -> tuple[tuple[Hunk, ...], BinaryBody | None]:
    if lines.peek() == b"GIT binary patch\n":
        next(lines)
        body = parse_binary_body(lines)
        if lines.peek().startswith((b"literal ", b"delta ")):
            parse_binary_body(lines)  # the way back, which nobody goes
        return (), body
    if lines.peek().startswith(b"Binary files "):
        raise ValueError("it leaves the contents of a binary file out")
    if not lines.peek().startswith(b"--- "):
        return (), None
    _read_name(next(lines), b"--- ", b"a/", None if header.is_new else header.old_path)
    _read_name(next(lines, b""), b"+++ ", b"b/", None if header.is_deleted else header.new_path)
    hunks: list[Hunk] = []
    while lines.peek().startswith(b"@@ "):
        hunks.append(_parse_hunk(lines))
    if not hunks:
        raise ValueError("no hunk follows the file names")
    return tuple(hunks), None


def _read_name(line: bytes, marker: bytes, prefix: bytes, expected: str | None) -> None:
    """Check a ``---`` or ``+++`` line against what the header said."""
    if not line.startswith(marker) or not line.endswith(b"\n"):
        raise ValueError(f"expected '{marker.decode().strip()}'")
    # git ends names that hold a space with a tab, for the sake of other programs.
    named = bare_path(line[len(marker) : -1].removesuffix(b"\t"))
    wanted = "/dev/null" if expected is None else prefix.decode() + expected
    if named != wanted:
        raise ValueError(f"the file names disagree: {named!r} and {wanted!r}")


def _parse_hunk(lines: _Lines) -> Hunk:
    found = _HUNK.fullmatch(next(lines))
    if found is None:
        raise ValueError("a malformed hunk header")
    num_old, num_new = (int(found[group] or b"1") for group in (2, 4))
    old: list[bytes] = []
    new: list[bytes] = []
    num_added = num_removed = 0
    while len(old) < num_old or len(new) < num_new:
        line = next(lines, b"")
        sign, rest = line[:1], line[1:]
        if sign not in {b" ", b"-", b"+"} or not rest.endswith(b"\n"):
            raise ValueError("a hunk is cut or malformed")
        if lines.peek().startswith(_NO_NEWLINE):
            next(lines)
            rest = rest[:-1]
        if sign != b"+":
            old.append(rest)
        if sign != b"-":
            new.append(rest)
        num_added += sign == b"+"
        num_removed += sign == b"-"
    if len(old) != num_old or len(new) != num_new:
        raise ValueError("a hunk does not have as many lines as it claims")
    return Hunk(
        old_start=int(found[1]),
        old_lines=tuple(old),
        new_lines=tuple(new),
        num_added=num_added,
        num_removed=num_removed,
    )


def _check(file: FilePatch) -> FilePatch:
    for path in (file.old_path, file.new_path):
        reason = "" if path is None else why_unsafe(path)
        if reason:
            raise ValueError(f"it changes {path!r}: {reason}")
    inner = (line for h in file.hunks for line in (*h.old_lines[:-1], *h.new_lines[:-1]))
    if not all(line.endswith(b"\n") for line in inner):
        raise ValueError("a line without a newline stands before the end of a file")
    return file
