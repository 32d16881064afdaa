"""Commit a patch: on a new branch without touching the working tree, or on the current one.

The patch is applied in memory to what HEAD holds, so the commit contains the fix and nothing of the
user's unfinished work. Where HEAD is not what the patch was made for (the fix touches a file with
uncommitted changes, an untracked one, or one of a submodule) it refuses, since a commit would have
to mix the two. Files that git stores in another form than they lie in the working tree (filters
such as LFS, encodings, line ends) are refused too: writing them would need the filter.

Written by ``git fast-import``: blobs, tree, commit and ref in one step, without index, hooks,
filters or signatures.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.apply import (
    Change,
    FileState,
    PatchConflictError,
    ReadFile,
    compute_blob_id,
    compute_changes,
)
from rnj_agent.agent.fix.host_git import HostGit, RepositoryPaths, open_git
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.fix.quoting import quote
from rnj_agent.agent.fix.worktree import read_worktree, write_changes

_CONVERTING = ("filter", "working-tree-encoding", "ident", "eol")
_NOT_CONVERTED = {"unspecified", "unset", "lf"}
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
_SAVED_PATCH = "or git apply, with the saved patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTarget:
    """Where a commit is to go, checked before any work is done for it."""

    paths: RepositoryPaths
    ref: str
    """refs/heads/..."""
    parent: str
    """Object id that the commit builds on."""
    identity: str
    """``Name <email>``."""
    is_current: bool
    """Whether it is the branch that is checked out."""

    @property
    def branch(self) -> str:
        return self.ref.removeprefix("refs/heads/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    branch: str
    commit_id: str


def choose_target(paths: RepositoryPaths, branch: str | None) -> CommitTarget:
    """Find out whether a commit on ``branch`` (None: the current one) will be possible.

    Raises:
        WorkspaceError: no repository or commit yet, the branch exists or has a bad name, HEAD is
            detached, a merge is under way, or the author is unknown.
    """
    if paths.git_dir is None:
        raise WorkspaceError(
            f"{paths.worktree} is not a git repository, so there is nothing to commit to.",
            hint="git init && git add -A && git commit -m start, or use --apply",
        )
    with open_git(paths) as git:
        ref = _current_ref(git) if branch is None else _new_ref(git, branch)
        return CommitTarget(
            paths=paths,
            ref=ref,
            parent=_resolve_head(git),
            identity=_identity(git),
            is_current=branch is None,
        )


def _current_ref(git: HostGit) -> str:
    git_dir = git.paths.git_dir
    assert git_dir is not None
    unfinished = [name for name in _UNFINISHED if (git_dir / name).exists()]
    if unfinished:
        raise WorkspaceError(
            f"A merge, rebase or similar is under way ({unfinished[0]}).",
            hint="finish it first, or use --branch NAME",
        )
    try:
        return git.run("symbolic-ref", "--quiet", "HEAD").decode().strip()
    except WorkspaceError as error:
        raise WorkspaceError(
            "HEAD is detached: there is no branch to commit on.", hint="use --branch NAME"
        ) from error


def _new_ref(git: HostGit, branch: str) -> str:
    ref = f"refs/heads/{branch}"
    try:
        git.run("check-ref-format", ref if not branch.startswith("-") else branch)
    except WorkspaceError as error:
        raise WorkspaceError(f"'{branch}' is not a name that a branch can have.") from error
    names = git.run("for-each-ref", "--format=%(refname)", "refs/heads").decode().splitlines()
    if ref in names:
        raise WorkspaceError(
            f"The branch '{branch}' exists already.",
            hint=f"choose another name, or: git branch -D {branch}",
        )
    clashes = [n for n in names if n.startswith(f"{ref}/") or ref.startswith(f"{n}/")]
    if clashes:
        taken = clashes[0].removeprefix("refs/heads/")
        raise WorkspaceError(f"The branch '{branch}' cannot exist beside the branch '{taken}'.")
    return ref


def _resolve_head(git: HostGit) -> str:
    try:
        return git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip()
    except WorkspaceError as error:
        raise WorkspaceError(
            "The repository has no commit yet, so there is nothing to build on.",
            hint="make a first commit, or use --apply",
        ) from error


def _identity(git: HostGit) -> str:
    name = os.environ.get("GIT_AUTHOR_NAME") or git.config_value("user.name")
    email = os.environ.get("GIT_AUTHOR_EMAIL") or git.config_value("user.email")
    if not name or not email:
        raise WorkspaceError(
            "git does not know who you are, so it cannot commit.",
            hint="git config --global user.name NAME && git config --global user.email EMAIL",
        )
    clean = [value.translate(dict.fromkeys(map(ord, "<>\n\r\0"))) for value in (name, email)]
    return f"{clean[0]} <{clean[1]}>"


def commit_patch(files: Sequence[FilePatch], target: CommitTarget, message: str) -> Commit:
    """Commit the patch; on the current branch also bring working tree and index along.

    Raises:
        PatchConflictError: HEAD, the index or the working tree is not what was patched.
        WorkspaceError: git or the disk refuses.
    """
    with open_git(target.paths) as git:
        touched = _touched(files)
        _refuse_converted(git, touched)
        changes = _changes_on_head(git, files, touched)
        if not target.is_current:
            return _write_commit(git, target, changes, message)
        worktree = target.paths.worktree
        local_changes = compute_changes(files, read_worktree(worktree))
        _refuse_staged(git, touched)
        write_changes(worktree, local_changes)
        commit = _write_commit(git, target, changes, message)
        _update_index(git, changes)
        return commit


def _touched(files: Sequence[FilePatch]) -> list[str]:
    named = {path for file in files for path in (file.old_path, file.new_path)}
    return sorted(path for path in named if path is not None)


def _refuse_converted(git: HostGit, touched: Sequence[str]) -> None:
    """Look attributes up, which starts no filter."""
    stdin = b"".join(os.fsencode(path) + b"\0" for path in touched)
    output = git.run("check-attr", "--stdin", "-z", *_CONVERTING, stdin=stdin)
    fields = os.fsdecode(output).split("\0")
    for path, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if value not in _NOT_CONVERTED:
            raise PatchConflictError(
                f"{path} is stored by git through the attribute {attribute}={value}; a commit "
                "would need that conversion.",
                hint="use --apply, then git add and git commit yourself",
            )


def _changes_on_head(
    git: HostGit, files: Sequence[FilePatch], touched: Sequence[str]
) -> tuple[Change, ...]:
    try:
        return compute_changes(files, _read_head(git, touched))
    except PatchConflictError as error:
        named = [path for path in touched if path in error.message]
        raise PatchConflictError(
            f"The fix builds on work of yours that is not committed in {', '.join(named)}, "
            "so it cannot be committed alone.",
            hint=f"use --apply and commit both, or commit yours first, {_SAVED_PATCH}",
        ) from error


def _read_head(git: HostGit, touched: Sequence[str]) -> ReadFile:
    """A reader of the touched files as HEAD has them."""
    listed = git.run("ls-tree", "-r", "-z", "--full-tree", "HEAD", "--", *touched)
    entries = [entry.partition("\t") for entry in os.fsdecode(listed).split("\0") if entry]
    files = [(path, *meta.split(" ")) for meta, _, path in entries]
    blobs = [(path, int(mode, 8), name) for path, mode, kind, name in files if kind == "blob"]
    contents = _read_blobs(git, [name for _, _, name in blobs])
    found = {
        path: FileState(mode=mode, content=content)
        for (path, mode, _), content in zip(blobs, contents, strict=True)
    }
    return found.get


def _read_blobs(git: HostGit, names: Sequence[str]) -> list[bytes]:
    output = git.run("cat-file", "--batch", stdin="".join(f"{n}\n" for n in names).encode())
    contents: list[bytes] = []
    at = 0
    for name in names:
        end = output.index(b"\n", at)
        header = output[at:end].split(b" ")
        if len(header) != 3:
            raise WorkspaceError(f"git has lost the object {name}.", hint="git fsck")
        start = end + 1
        at = start + int(header[2]) + 1
        contents.append(output[start : at - 1])
    return contents


def _refuse_staged(git: HostGit, touched: Sequence[str]) -> None:
    """The index must have what HEAD has, or the commit would undo what the user staged."""
    staged = git.run("diff-index", "--cached", "--name-only", "-z", "HEAD", "--", *touched)
    names = [name for name in os.fsdecode(staged).split("\0") if name]
    if names:
        raise PatchConflictError(
            f"The fix touches files with staged changes of yours: {', '.join(names)}.",
            hint=f"commit them first, or use --branch NAME, {_SAVED_PATCH}",
        )


def _write_commit(
    git: HostGit, target: CommitTarget, changes: Sequence[Change], message: str
) -> Commit:
    text = message.encode("utf-8", "replace")
    stream = [
        f"commit {target.ref}\n".encode(),
        f"author {target.identity} now\ncommitter {target.identity} now\n".encode(),
        b"data %d\n%s\n" % (len(text), text),
        f"from {target.parent}\n".encode(),
    ]
    # Deletions first: a folder may take the place of a file.
    stream += [b"D %s\n" % _quoted(change) for change in changes if change.new is None]
    for change in changes:
        if change.new is not None:
            content = change.new.content
            stream.append(b"M %o inline %s\n" % (change.new.mode, _quoted(change)))
            stream.append(b"data %d\n%s\n" % (len(content), content))
    git.run("fast-import", "--quiet", "--date-format=now", stdin=b"".join(stream))
    commit_id = git.run("rev-parse", "--verify", target.ref).decode().strip()
    return Commit(branch=target.branch, commit_id=commit_id)


def _quoted(change: Change) -> bytes:
    return quote(os.fsencode(change.path))


def _update_index(git: HostGit, changes: Sequence[Change]) -> None:
    zero = "0" * len(compute_blob_id(b"", git.object_format))
    lines = [
        f"0 {zero}\t{change.path}\0"
        if change.new is None
        else f"{change.new.mode:o} {compute_blob_id(change.new.content, git.object_format)}"
        f"\t{change.path}\0"
        for change in sorted(changes, key=lambda change: change.new is not None)
    ]
    try:
        git.run("update-index", "-z", "--index-info", stdin=os.fsencode("".join(lines)))
    except WorkspaceError as error:
        raise WorkspaceError(
            f"The fix is committed, but the index could not follow: {error.message}.",
            hint="git reset --quiet",
        ) from error
