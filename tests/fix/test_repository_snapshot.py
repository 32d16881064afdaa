"""What is copied out of a repository, and what is not; no sandbox is needed for that."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from pathlib import Path

import pytest
from real_repo import MakeRepo, Repo

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix import repository
from rnj_agent.agent.fix.host_git import find_repository, open_git
from rnj_agent.agent.fix.repository import Snapshot, take_snapshot, write_tar


def _paths(snapshot: Snapshot) -> list[str]:
    return [file.path for file in snapshot.files]


def _tar(snapshot: Snapshot) -> dict[str, tarfile.TarInfo]:
    archive = io.BytesIO()
    write_tar(snapshot, archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        return {member.name: member for member in tar}


def test_modes_links_folders_and_odd_names(make_repo: MakeRepo) -> None:
    name = os.fsdecode(b"not utf-8 \xff\n")
    repo = make_repo({"a/b/run.sh": "x", name: "y", "empty": ""})
    (repo.root / "a/b/run.sh").chmod(0o700)
    (repo.root / "a/link").symlink_to("b")
    members = _tar(take_snapshot(repo.root / "a"))
    assert members["a"].isdir()
    assert members["a/b"].isdir()
    assert members["a/b/run.sh"].mode == 0o755
    assert members["a/link"].linkname == "b"
    assert name in {os.fsdecode(os.fsencode(member)) for member in members}
    assert not any(".git" in path.split("/") for path in members)
    assert {member.uid for member in members.values()} == {os.getuid()}


def test_where_the_user_stands(make_repo: MakeRepo) -> None:
    repo = make_repo({"a/b/c": "x"})
    assert take_snapshot(repo.root / "a" / "b").subdirectory == "a/b"
    assert take_snapshot(repo.root).subdirectory == ""


def test_tracked_files_behind_a_link_are_not_followed(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo({"lib/secret": "x", "a": "a"})
    outside = tmp_path / "outside"
    (repo.root / "lib").rename(outside)
    (repo.root / "lib").symlink_to(outside)
    assert _paths(take_snapshot(repo.root)) == ["a", "lib"]


def test_an_index_that_names_files_elsewhere(make_repo: MakeRepo, tmp_path: Path) -> None:
    """No git writes such an index; someone who plants one would read our files with it."""
    repo = make_repo({"a": "a", "xx/yyyyyy": "x"})
    (tmp_path / "secret").write_text("secret")
    index = repo.root / ".git" / "index"
    data = index.read_bytes()
    assert b"xx/yyyyyy" in data
    forged = data[:-20].replace(b"xx/yyyyyy", b"../secret")
    index.write_bytes(forged + hashlib.sha1(forged, usedforsecurity=False).digest())
    snapshot = take_snapshot(repo.root)
    assert _paths(snapshot) == ["a", "xx/yyyyyy"]
    (notice,) = snapshot.notices
    assert notice.endswith("does not stay inside the repository: ../secret")


def test_what_is_not_a_file_is_skipped_and_said(make_repo: MakeRepo) -> None:
    repo = make_repo({"a": "a", "pipe": "was a file"})
    (repo.root / "pipe").unlink()
    os.mkfifo(repo.root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        cwd = Path.cwd()
        os.chdir(repo.root)
        server.bind("socket")
        os.chdir(cwd)
        snapshot = take_snapshot(repo.root)
    assert _paths(snapshot) == ["a"]
    assert snapshot.notices == ("not copied, because it is not a regular file: pipe",)


def test_bare_empty_missing_and_inside_git(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo({"a": "a"})
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    for start, message in [
        (tmp_path / "bare.git", "bare repository"),
        (repo.root / ".git", "git directory"),
        (tmp_path / "missing", "no folder"),
        (make_repo(name="empty").root, "no files"),
    ]:
        with pytest.raises(WorkspaceError, match=message) as caught:
            take_snapshot(start)
        assert caught.value.hint


def test_a_repository_without_commits(make_repo: MakeRepo) -> None:
    repo = make_repo(name="unborn")
    repo.write({"a.py": "x", "b.log": "x", ".gitignore": "*.log\n"})
    assert _paths(take_snapshot(repo.root)) == [".gitignore", "a.py"]


def test_a_folder_without_git_honours_ignore_files(tmp_path: Path) -> None:
    for path in ("a.py", "b.log", ".venv/x", "sub/node_modules/y", ".git-is-not-here"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / ".gitignore").write_text("*.log\n")
    snapshot = take_snapshot(tmp_path)
    assert _paths(snapshot) == [".git-is-not-here", ".gitignore", "a.py"]
    assert snapshot.paths.git_dir is None


def test_excludes_of_the_repository_count(make_repo: MakeRepo) -> None:
    repo = make_repo({"a": "a"})
    (repo.root / ".git/info/exclude").write_text("private\n")
    repo.write({"private": "x", "public": "x"})
    assert _paths(take_snapshot(repo.root)) == ["a", "public"]


def test_too_much_names_the_biggest(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo({"small": "x", "big.bin": b"\0" * 3_000_000})
    monkeypatch.setattr(repository, "MAX_TOTAL_BYTES", 1_000_000)
    with pytest.raises(WorkspaceError, match=r"Biggest: big\.bin \(3 MiB\)"):
        take_snapshot(repo.root)


def test_a_file_that_vanishes_meanwhile(make_repo: MakeRepo) -> None:
    repo = make_repo({"a": "a"})
    snapshot = take_snapshot(repo.root)
    (repo.root / "a").unlink()
    with pytest.raises(WorkspaceError, match="changed while"):
        write_tar(snapshot, io.BytesIO())


def test_a_linked_worktree_and_a_submodule_are_found(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo({"a": "a"})
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    paths = find_repository(tmp_path / "linked")
    assert paths.common_dir == repo.root / ".git"
    assert paths.git_dir == repo.root / ".git/worktrees/linked"
    assert _paths(take_snapshot(tmp_path / "linked")) == ["a"]


def test_an_empty_git_folder_is_not_a_repository(make_repo: MakeRepo) -> None:
    repo = make_repo({"inner/a": "a"})
    (repo.root / "inner/.git").mkdir()
    assert find_repository(repo.root / "inner").worktree == repo.root


def test_the_temporary_git_directory_goes_away(make_repo: MakeRepo) -> None:
    with open_git(find_repository(make_repo({"a": "a"}).root)) as git:
        place = Path(git.env["GIT_DIR"])
        assert (place / "config").exists()
        assert not (place / "hooks").exists()
    assert not place.exists()


def test_the_environment_of_the_user_does_not_lead_elsewhere(
    make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a git hook, where git has set these."""
    other = make_repo({"other": "x"}, name="other")
    repo = make_repo({"a": "a"})
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git/index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_COMMON_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git/objects"))
    assert _paths(take_snapshot(repo.root)) == ["a"]


def test_planted_programs_would_run_with_plain_git(make_repo: MakeRepo, tmp_path: Path) -> None:
    """The control of the hostile repository in the end-to-end tests."""
    repo: Repo = make_repo({"a.txt": "a"})
    canary = tmp_path / "canary"
    repo.git("config", "core.fsmonitor", f"touch {canary}; false")
    take_snapshot(repo.root)
    assert not canary.exists()
    repo.git("status")
    assert canary.exists()
