"""git on the host, without the repository's configuration: nothing planted there can run.

A repository can make git start programs: hooks (as files, and since git 2.54 as ``hook.*`` keys),
``core.fsmonitor``, ``core.hooksPath``, ``core.pager``, ``core.editor``, ``core.sshCommand``,
``filter.*.clean/smudge/process``, ``diff.external``, ``diff.*.textconv``, ``merge.*.driver``,
``gpg.program``, ``credential.helper``, ``alias.*``, and all of them through ``include.path``;
``core.worktree`` points the rest at another folder. Turning keys off one by one forgets the next
one, so git never reads the repository's config here: it works on a temporary git directory of our
own with a few lines of config, whose objects, refs and excludes are links to the real ones. The
hooks folder is not linked. System and global config are left out as well, since a planted
.gitattributes can call for a filter that is defined there.

One command sees the real config: ``git config --get``, which starts nothing.

Commands go through GitPython's command interface. No command here reads file contents through
attributes, merges, checks out, or talks to a network.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.agent.errors import WorkspaceError

_LINKED = ("objects", "refs", "packed-refs", "reftable", "shallow")
_LOCAL_FORMAT_KEYS = ("extensions.objectformat", "extensions.refstorage")
_CLEAN_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "GIT_NAMESPACE": "",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryPaths:
    """Where a repository lies. Found without git, so that no config has a say in it."""

    worktree: Path
    git_dir: Path | None
    """Of this work tree; None where the folder is not under git."""
    common_dir: Path | None
    """The same, or the main repository's for a linked work tree."""


def find_repository(start: Path) -> RepositoryPaths:
    """Walk up from ``start`` to the folder that holds ``.git``; ``start`` itself if none does.

    Raises:
        WorkspaceError: no such folder, a bare repository, or the inside of a git directory.
    """
    if not start.is_dir():
        what = f"{start} is not a folder." if start.exists() else f"There is no folder {start}."
        raise WorkspaceError(what, hint="give the folder of your project: --repo PATH")
    start = start.resolve()
    for folder in (start, *start.parents):
        git_dir = _git_dir_of(folder)
        if git_dir is not None:
            return RepositoryPaths(
                worktree=folder, git_dir=git_dir, common_dir=_common_dir_of(git_dir)
            )
        if _is_git_dir(folder):
            raise WorkspaceError(
                f"{folder} is a bare repository or a git directory: it has no files to fix.",
                hint=f"git clone {folder} FOLDER, then run rnj-agent there",
            )
    return RepositoryPaths(worktree=start, git_dir=None, common_dir=None)


def _git_dir_of(folder: Path) -> Path | None:
    dot_git = folder / ".git"
    if dot_git.is_file():
        text = dot_git.read_bytes()[:4096].decode("utf-8", "surrogateescape")
        if not text.startswith("gitdir:"):
            return None
        dot_git = (folder / text.removeprefix("gitdir:").strip()).resolve()
    return dot_git if _is_git_dir(dot_git) else None


def _is_git_dir(folder: Path) -> bool:
    if not (folder / "HEAD").is_file():
        return False
    common = _common_dir_of(folder)
    return (common / "objects").is_dir() and (common / "refs").is_dir()


def _common_dir_of(git_dir: Path) -> Path:
    marker = git_dir / "commondir"
    if not marker.is_file():
        return git_dir
    return (git_dir / marker.read_text("utf-8", "surrogateescape").strip()).resolve()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGit:
    """git with a configuration of our own, over one repository's objects, refs and index."""

    paths: RepositoryPaths
    object_format: str
    """``sha1`` or ``sha256``."""
    env: Mapping[str, str]

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run one git command in the work tree and return its standard output.

        Raises:
            WorkspaceError: git failed (with what it said), or is not installed.
        """
        return _run(arguments, cwd=self.paths.worktree, env=self.env, stdin=stdin)

    def config_value(self, key: str) -> str | None:
        """What ``git config --get`` says in the real repository, includes and all, or None."""
        git_dir, common_dir = self.paths.git_dir, self.paths.common_dir
        real = {"GIT_DIR": str(git_dir), "GIT_COMMON_DIR": str(common_dir)} if git_dir else {}
        return _config_get(("config", "--get", key), cwd=self.paths.worktree, env=real)


@contextmanager
def open_git(paths: RepositoryPaths) -> Generator[HostGit]:
    """Lay out the temporary git directory, and take it away again.

    Raises:
        WorkspaceError: git is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="rnj-git-") as name:
        folder = Path(name)
        formats = _formats(paths)
        _write_config(folder, formats)
        if paths.git_dir is None or paths.common_dir is None:
            (folder / "HEAD").write_text("ref: refs/heads/main\n")
            (folder / "objects").mkdir()
            (folder / "refs").mkdir()
        else:
            _link_repository(folder, paths.git_dir, paths.common_dir)
        index = folder / "index" if paths.git_dir is None else paths.git_dir / "index"
        yield HostGit(
            paths=paths,
            object_format=formats.get("extensions.objectformat", "sha1"),
            env=_CLEAN_ENV
            | {
                "GIT_DIR": name,
                "GIT_COMMON_DIR": name,
                "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
                "GIT_WORK_TREE": str(paths.worktree),
                "GIT_INDEX_FILE": str(index),
            },
        )


def _formats(paths: RepositoryPaths) -> dict[str, str]:
    """How the repository stores objects and refs; read from its config as plain data."""
    if paths.common_dir is None:
        return {}
    config = str(paths.common_dir / "config")
    arguments = [("config", "--file", config, "--get", key) for key in _LOCAL_FORMAT_KEYS]
    values = [_config_get(each, cwd=paths.worktree, env={}) for each in arguments]
    known = {"sha1", "sha256", "files", "reftable"}
    pairs = zip(_LOCAL_FORMAT_KEYS, values, strict=True)
    return {key: value for key, value in pairs if value in known}


def _write_config(folder: Path, formats: Mapping[str, str]) -> None:
    lines = [
        "[core]",
        f"repositoryformatversion = {1 if formats else 0}",
        "bare = false",
        "logAllRefUpdates = true",
        "splitIndex = false",  # a shared half written beside this config would be lost with it
    ]
    if formats:
        lines.append("[extensions]")
        lines += [f"{key.removeprefix('extensions.')} = {value}" for key, value in formats.items()]
    (folder / "config").write_text("\n".join(lines) + "\n")


def _link_repository(folder: Path, git_dir: Path, common_dir: Path) -> None:
    (folder / "HEAD").write_bytes((git_dir / "HEAD").read_bytes())
    for name in _LINKED:
        (folder / name).symlink_to(common_dir / name)
    for shared_index in git_dir.glob("sharedindex.*"):
        (folder / shared_index.name).symlink_to(shared_index)
    (folder / "info").mkdir()
    (folder / "info" / "exclude").symlink_to(common_dir / "info" / "exclude")
    (folder / "info" / "attributes").symlink_to(common_dir / "info" / "attributes")
    (folder / "logs").mkdir()
    (folder / "logs" / "refs").symlink_to(common_dir / "logs" / "refs")
    if (git_dir / "logs" / "HEAD").is_file():
        (folder / "logs" / "HEAD").symlink_to(git_dir / "logs" / "HEAD")


def _config_get(arguments: tuple[str, ...], *, cwd: Path, env: Mapping[str, str]) -> str | None:
    try:
        output = _run(("--no-pager", *arguments), cwd=cwd, env=env, stdin=b"")
    except WorkspaceError:
        return None
    return os.fsdecode(output).rstrip("\n") or None


def _run(arguments: tuple[str, ...], *, cwd: Path, env: Mapping[str, str], stdin: bytes) -> bytes:
    try:
        import git
    except ImportError as error:  # GitPython looks for git while it is imported
        raise WorkspaceError("git is not installed.", hint="sudo apt-get install -y git") from error
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        status, output, complaint = git.Git(cwd).execute(
            ["git", *arguments],
            istream=source,
            env=dict(env),
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
        )
    if status != 0:
        what = str(complaint).strip() or f"exit status {status}"
        raise WorkspaceError(f"git {' '.join(arguments[:2])} failed in {cwd}: {what}")
    assert isinstance(output, bytes)
    return output
