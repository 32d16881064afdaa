"""Apply a patch in memory, exactly or not at all: what becomes of each file that it names.

Every old and new content is checked against the blob ids in the patch. No git runs, so no
attribute or filter has a say, and bytes and line ends are what the patch says they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.binary_patch import apply_delta
from rnj_agent.agent.fix.patch import FilePatch, Hunk, PatchError
from rnj_agent.agent.fix.paths import why_unsafe

SYMLINK_MODE = 0o120000


class PatchConflictError(WorkspaceError):
    """The files are not the ones that the patch was made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    mode: int
    """As git has it: 0o100644, 0o100755 or 0o120000."""
    content: bytes
    """Of a symbolic link: where it points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one path; None where there is no file."""

    path: str
    old: FileState | None
    new: FileState | None


ReadFile: TypeAlias = Callable[[str], FileState | None]


def compute_changes(files: Sequence[FilePatch], read: ReadFile) -> tuple[Change, ...]:
    """Apply the patch in memory to what ``read`` gives.

    Raises:
        PatchConflictError: a file is missing, in the way, or differs from what was patched.
        PatchError: the patch does not make what it claims, or a link that leaves the repository.
    """
    before: dict[str, FileState | None] = {}
    now: dict[str, FileState | None] = {}

    def look_up(path: str) -> FileState | None:
        if path not in now:
            before[path] = now[path] = read(path)
        return now[path]

    for file in files:
        new = _apply_file(file, look_up)
        if file.old_path is not None:
            now[file.old_path] = None
        if file.new_path is not None:
            if look_up(file.new_path) is not None:
                raise PatchConflictError(f"{file.new_path} already exists; nothing was changed.")
            now[file.new_path] = new
    _check_layout(now)
    return tuple(
        Change(path=path, old=before[path], new=now[path])
        for path in now
        if before[path] != now[path]
    )


def _apply_file(file: FilePatch, look_up: ReadFile) -> FileState | None:
    old = FileState(mode=file.new_mode or 0o100644, content=b"")
    if file.old_path is not None:
        found = look_up(file.old_path)
        if found is None:
            raise PatchConflictError(f"{file.old_path} does not exist; nothing was changed.")
        old = found
        _check_old(file, old)
    content = _new_content(file, old.content)
    if _is_full(file.new_id) and not _has_id(content, file.new_id) and file.new_path is not None:
        raise PatchError(f"The patch does not make of {file.path} what it claims.")
    if file.new_path is None:
        if content:
            raise PatchConflictError(f"{file.path} is not what the patch deletes.")
        return None
    stays = file.new_mode is None or file.new_mode == file.old_mode
    return FileState(mode=old.mode if stays else file.new_mode or old.mode, content=content)


def _check_old(file: FilePatch, old: FileState) -> None:
    is_link = file.old_mode == SYMLINK_MODE
    same_type = file.old_mode is None or is_link == (old.mode == SYMLINK_MODE)
    if not same_type or (_is_full(file.old_id) and not _has_id(old.content, file.old_id)):
        raise PatchConflictError(
            f"{file.old_path} is not as it was when it was copied; nothing was changed.",
            hint="git apply --3way, with the saved patch",
        )


def _is_full(blob_id: str) -> bool:
    return len(blob_id) in {40, 64}


def _has_id(content: bytes, blob_id: str) -> bool:
    return compute_blob_id(content, "sha1" if len(blob_id) == 40 else "sha256") == blob_id


def compute_blob_id(content: bytes, object_format: str) -> str:
    """Git's name for this content."""
    digest = hashlib.new(object_format, usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()


def _new_content(file: FilePatch, old: bytes) -> bytes:
    try:
        if file.binary is None:
            return _apply_hunks(old, file.hunks)
        if file.binary.kind == "literal":
            return file.binary.data
        return apply_delta(old, file.binary.data)
    except ValueError as error:
        raise PatchConflictError(f"The patch does not fit {file.path}: {error}.") from error


def _apply_hunks(old: bytes, hunks: Sequence[Hunk]) -> bytes:
    parts = old.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
    result: list[bytes] = []
    at = 0
    for hunk in hunks:
        # A hunk without old lines names the line that it follows.
        start = hunk.old_start - 1 if hunk.old_lines else hunk.old_start
        end = start + len(hunk.old_lines)
        if start < at or tuple(lines[start:end]) != hunk.old_lines:
            raise ValueError(f"other lines stand at line {hunk.old_start}")
        result += lines[at:start]
        result += hunk.new_lines
        at = end
    return b"".join(result + lines[at:])


def _check_layout(now: dict[str, FileState | None]) -> None:
    """Refuse links that lead out, and paths below what is a file after the patch."""
    for path, state in now.items():
        if state is None:
            continue
        if state.mode == SYMLINK_MODE:
            _check_link(path, state.content)
        for parent in PurePosixPath(path).parents:
            if now.get(str(parent)) is not None:
                raise PatchError(f"The patch makes {parent} a file and puts {path} below it.")


def _check_link(path: str, content: bytes) -> None:
    target = os.fsdecode(content)
    joined = os.path.normpath(str(PurePosixPath(path).parent / target))
    if not target or target.startswith("/") or (joined != "." and why_unsafe(joined)):
        raise PatchError(
            f"The patch is refused: the symbolic link {path} leads out of the repository, "
            f"to {target!r}."
        )
