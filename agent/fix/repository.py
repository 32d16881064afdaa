"""The user's repository as the user sees it: tracked and untracked files, written as a tar stream.

Contents come from the working tree, so changes that are not committed travel too, and a deleted
file stays deleted. Files of submodules and of repositories inside the repository become plain
files. Never copied: ``.git``, ignored files, FIFOs, sockets and devices. LFS files come as they
lie in the working tree.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.host_git import RepositoryPaths, find_repository, open_git
from rnj_agent.agent.fix.paths import why_unsafe

MAX_FILES = 200_000
MAX_TOTAL_BYTES = 2 * 1024**3
MAX_NESTING = 16
"""Repositories inside repositories."""

# What a folder without git would otherwise drag along; with git, .gitignore decides.
IGNORED_WITHOUT_GIT = (
    "node_modules/",
    ".venv/",
    "venv/",
    ".tox/",
    "__pycache__/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".hg/",
    ".svn/",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """One file or symbolic link of the snapshot. Bytes of a path travel by surrogateescape."""

    path: str
    """Relative to the root, with slashes."""
    mode: int
    """As git has it: 0o100644, 0o100755 or 0o120000."""
    size_bytes: int
    mtime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is copied into the sandbox. The contents stay on disk until ``write_tar``."""

    paths: RepositoryPaths
    files: tuple[CopiedFile, ...]
    subdirectory: str
    """Where in the repository the user stands; empty for its root."""
    notices: tuple[str, ...]
    """What was left out, in words."""

    @property
    def root(self) -> Path:
        return self.paths.worktree


def take_snapshot(start: Path) -> Snapshot:
    """List what is to be copied from the repository that ``start`` lies in.

    Raises:
        WorkspaceError: no such folder, a bare repository, nothing in it, or too much.
    """
    paths = find_repository(start)
    files: list[CopiedFile] = []
    notices: list[str] = []
    for path in sorted(_list_paths(paths)):
        found = _examine(paths.worktree, path)
        if isinstance(found, CopiedFile):
            files.append(found)
        elif found:
            notices.append(found)
    if not files:
        raise WorkspaceError(
            f"There are no files in {paths.worktree}.",
            hint="give the folder of your project: --repo PATH",
        )
    _check_size(files)
    inside = start.resolve().relative_to(paths.worktree).as_posix()
    return Snapshot(
        paths=paths,
        files=tuple(files),
        subdirectory="" if inside == "." else inside,
        notices=tuple(notices),
    )


def _list_paths(paths: RepositoryPaths, nesting: int = 0) -> set[str]:
    """Tracked and untracked paths that are not ignored, with those of repositories inside."""
    arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if paths.git_dir is None:
        arguments += [f"--exclude={pattern}" for pattern in IGNORED_WITHOUT_GIT]
    with open_git(paths) as git:
        listed = os.fsdecode(git.run(*arguments)).split("\0")
    found: set[str] = set()
    for path in filter(None, listed):
        folder = paths.worktree / path.rstrip("/")
        if not why_unsafe(path.rstrip("/")) and folder.is_dir() and not folder.is_symlink():
            found |= {f"{path.rstrip('/')}/{inner}" for inner in _list_inside(folder, nesting + 1)}
        else:
            found.add(path)
    return found


def _list_inside(folder: Path, nesting: int) -> set[str]:
    """A submodule that is checked out, or another repository; an empty folder otherwise."""
    inner = find_repository(folder)
    if inner.worktree != folder.resolve() or nesting > MAX_NESTING:
        return set()
    return _list_paths(inner, nesting)


def _examine(root: Path, path: str) -> CopiedFile | str:
    """The file as it is to be copied, or a notice why it is not; empty where it is deleted."""
    reason = why_unsafe(path)
    if reason:  # only a forged index names such a path
        return f"not copied, because {reason}: {path}"
    if has_symlinked_parent(root, path):
        return ""  # as git sees it: the tracked file is gone, a link stands in its way
    try:
        found = os.lstat(root / path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISLNK(found.st_mode):
        mode = 0o120000
    elif not stat.S_ISREG(found.st_mode):
        return f"not copied, because it is not a regular file: {path}"
    elif not os.access(root / path, os.R_OK):
        return f"not copied, because it cannot be read: {path}"
    else:
        mode = 0o100755 if found.st_mode & stat.S_IXUSR else 0o100644
    return CopiedFile(
        path=path, mode=mode, size_bytes=found.st_size, mtime=max(0, int(found.st_mtime))
    )


def has_symlinked_parent(root: Path, path: str) -> bool:
    parents = [parent for parent in PurePosixPath(path).parents if parent.name]
    return any((root / parent).is_symlink() for parent in parents)


def _check_size(files: list[CopiedFile]) -> None:
    total = sum(file.size_bytes for file in files)
    if total <= MAX_TOTAL_BYTES and len(files) <= MAX_FILES:
        return
    biggest = sorted(files, key=lambda file: file.size_bytes, reverse=True)[:5]
    named = ", ".join(f"{file.path} ({file.size_bytes / 1024**2:,.0f} MiB)" for file in biggest)
    raise WorkspaceError(
        f"The repository is too big to copy: {len(files):,} files, {total / 1024**2:,.0f} MiB "
        f"(at most {MAX_FILES:,} and {MAX_TOTAL_BYTES / 1024**2:,.0f} MiB). Biggest: {named}.",
        hint="keep what the fix does not need out of it with .gitignore",
    )


def write_tar(snapshot: Snapshot, out: IO[bytes]) -> None:
    """Write the snapshot as an uncompressed tar stream, folders included.

    Raises:
        WorkspaceError: a file changed or vanished while it was read.
    """
    with tarfile.open(
        fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, errors="surrogateescape"
    ) as tar:
        for folder in _folders(file.path for file in snapshot.files):
            tar.addfile(_header(folder, tarfile.DIRTYPE, 0o755, 0))
        for file in snapshot.files:
            try:
                _add_file(tar, snapshot.root, file)
            except OSError as error:
                raise WorkspaceError(
                    f"{file.path} changed while the repository was copied: {error}.",
                    hint="run the same command again",
                ) from error


def _folders(paths: Iterable[str]) -> list[str]:
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(parents - {"."})


def _header(path: str, kind: bytes, mode: int, mtime: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.type = kind
    header.mode = mode
    header.mtime = mtime
    # The sandbox runs as this user, so that files made there could be read here.
    header.uid, header.gid = os.getuid(), os.getgid()
    return header


def _add_file(tar: tarfile.TarFile, root: Path, file: CopiedFile) -> None:
    if file.mode == 0o120000:
        header = _header(file.path, tarfile.SYMTYPE, 0o777, file.mtime)
        header.linkname = os.readlink(root / file.path)
        tar.addfile(header)
        return
    header = _header(file.path, tarfile.REGTYPE, file.mode & 0o777, file.mtime)
    # A FIFO that took the file's place since must not block us, nor a link lead us elsewhere.
    descriptor = os.open(root / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as source:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("no longer a regular file")
        header.size = found.st_size
        tar.addfile(header, source)
