"""The user's working tree: read one file of it, or bring all changes into it at once.

New contents are written to a temporary folder first and moved into place last; a failure on the
way puts back what was moved. Symbolic links are never followed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.apply import (
    SYMLINK_MODE,
    Change,
    FileState,
    PatchConflictError,
    ReadFile,
    compute_changes,
)
from rnj_agent.agent.fix.binary_patch import MAX_CONTENT_BYTES
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.fix.repository import has_symlinked_parent


def read_worktree(root: Path) -> ReadFile:
    """A reader of the files below ``root``; no file where there is none, or a folder.

    Its calls raise PatchConflictError where a device or a link to a folder stands in the way.
    """

    def read(path: str) -> FileState | None:
        if has_symlinked_parent(root, path):
            raise PatchConflictError(f"{path} lies behind a symbolic link; nothing was changed.")
        try:
            found = os.lstat(root / path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(found.st_mode):
            return None
        if stat.S_ISLNK(found.st_mode):
            return FileState(mode=SYMLINK_MODE, content=os.fsencode(os.readlink(root / path)))
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_CONTENT_BYTES:
            raise PatchConflictError(f"{path} is not a file that can be patched.")
        mode = 0o100755 if found.st_mode & stat.S_IXUSR else 0o100644
        return FileState(mode=mode, content=(root / path).read_bytes())

    return read


def apply_patch(root: Path, files: Sequence[FilePatch]) -> tuple[Change, ...]:
    """Write the patch into the working tree at ``root``.

    Raises:
        PatchConflictError: the files changed since they were copied; nothing was written.
        WorkspaceError: the disk refuses; nothing was written.
    """
    changes = compute_changes(files, read_worktree(root))
    write_changes(root, changes)
    return changes


def write_changes(root: Path, changes: Sequence[Change]) -> None:
    """Bring the working tree to the new state, or leave it as it was.

    Raises:
        WorkspaceError: a file cannot be written; everything is as before.
    """
    with contextlib.ExitStack() as undo:
        try:
            folder = Path(tempfile.mkdtemp(prefix=".rnj-apply-", dir=root))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            _swap(root, changes, folder, undo)
        except OSError as error:
            raise WorkspaceError(
                f"The patch could not be written, everything is as before: {error}."
            ) from error
        undo.pop_all()
    shutil.rmtree(folder, ignore_errors=True)


def _swap(root: Path, changes: Sequence[Change], folder: Path, undo: contextlib.ExitStack) -> None:
    arriving = [(change.path, change.new) for change in changes if change.new is not None]
    leaving = [change for change in changes if change.old is not None]
    for number, (path, state) in enumerate(arriving):
        _write_new(folder / f"new-{number}", state, root / path)
    for number, change in enumerate(leaving):
        _move(root / change.path, folder / f"old-{number}", undo)
    for change in leaving:
        if change.new is None:
            _remove_empty_parents(root, root / change.path, undo)
    for number, (path, _) in enumerate(arriving):
        _make_parents(root / path, undo)
        _move(folder / f"new-{number}", root / path, undo)


def _write_new(temporary: Path, state: FileState, place: Path) -> None:
    if state.mode == SYMLINK_MODE:
        temporary.symlink_to(os.fsdecode(state.content))
        return
    temporary.write_bytes(state.content)  # as the umask has it
    if place.is_file() and not place.is_symlink():
        temporary.chmod(stat.S_IMODE(place.stat().st_mode))
    bits = stat.S_IMODE(temporary.stat().st_mode)
    executable = bits | (bits & 0o444) >> 2
    temporary.chmod(executable if state.mode == 0o100755 else bits & ~0o111)


def _move(source: Path, target: Path, undo: contextlib.ExitStack) -> None:
    if os.path.lexists(target):
        raise FileExistsError(f"{target} is in the way")
    source.rename(target)
    undo.callback(target.rename, source)


def _make_parents(place: Path, undo: contextlib.ExitStack) -> None:
    missing = [parent for parent in place.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        undo.callback(parent.rmdir)


def _remove_empty_parents(root: Path, place: Path, undo: contextlib.ExitStack) -> None:
    """As git does: a folder goes with its last file."""
    for parent in place.parents:
        if parent == root or not parent.is_dir() or any(parent.iterdir()):
            return
        parent.rmdir()
        undo.callback(parent.mkdir)
