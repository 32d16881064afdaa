"""Commits made without git's index, hooks or filters, checked with git afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_repo import MakeRepo, Repo

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.apply import PatchConflictError
from rnj_agent.agent.fix.commit import Commit, choose_target, commit_patch
from rnj_agent.agent.fix.host_git import find_repository
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.fix.worktree import apply_patch

_FILES: dict[str, str | bytes] = {
    "a.py": "1\n2\n3\n",
    "dir/ünï b.py": "b\n",
    "gone.py": "gone\n",
    "data.bin": bytes(range(256)),
}


@pytest.fixture(autouse=True)
def author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "grace@example.org")


def _edit(repo: Repo) -> str:
    """A patch with an edit, a new, a deleted and a binary file; the tree is clean again."""
    repo.write({"a.py": "1\ntwo\n3\n", 'dir/new "q".py': "new\n", "data.bin": b"\0\1\2" * 50})
    (repo.root / "dir/ünï b.py").chmod(0o755)
    (repo.root / "gone.py").unlink()
    patch = repo.diff()
    repo.git("reset", "-q", "--hard")
    return patch


def _commit(root: Path, patch: str, branch: str | None) -> Commit:
    target = choose_target(find_repository(root), branch)
    return commit_patch(parse_patch(patch), target, "Fix it\n\nIssue: #1\n")


def _status(repo: Repo) -> str:
    return repo.git("status", "--porcelain").decode()


def test_a_branch_leaves_everything_else_alone(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    patch = _edit(repo)
    repo.write({"untracked.txt": "mine\n", "notes.md": "mine\n"})
    head, status = repo.git("rev-parse", "HEAD"), _status(repo)
    made = _commit(repo.root, patch, "fix/it")
    assert (repo.git("rev-parse", "HEAD"), _status(repo)) == (head, status)
    assert repo.git("diff", "--binary", "--full-index", "-M", "main", "fix/it").decode() == patch
    assert repo.git("log", "-1", "--format=%an|%ce|%s", "fix/it").decode().strip() == (
        "Grace|grace@example.org|Fix it"
    )
    assert repo.git("rev-parse", "fix/it").decode().strip() == made.commit_id
    repo.git("fsck", "--strict")
    repo.git("switch", "-q", "fix/it")


def test_a_commit_on_the_current_branch_brings_the_tree_along(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    patch = _edit(repo)
    repo.write({"untracked.txt": "mine\n"})
    _commit(repo.root, patch, None)
    assert _status(repo) == "?? untracked.txt\n"
    assert repo.git("diff", "--binary", "--full-index", "-M", "HEAD~1", "HEAD").decode() == patch
    assert (repo.root / "a.py").read_text() == "1\ntwo\n3\n"
    repo.git("fsck", "--strict")


def test_unfinished_work_elsewhere_stays_unfinished(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES | {"other.py": "x\n", "staged.py": "x\n"})
    patch = _edit(repo)
    repo.write({"other.py": "dirty\n", "staged.py": "dirty\n"})
    repo.git("add", "staged.py")
    _commit(repo.root, patch, None)
    assert _status(repo) == " M other.py\nM  staged.py\n"


def test_unfinished_work_in_a_touched_file_is_refused(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    repo.write({"a.py": "0\n1\n2\n3\n"})
    dirty = repo.diff()
    repo.git("reset", "-q")
    (repo.root / "a.py").write_text("0\n1\n2\n3\nfixed\n")
    repo.git("add", "a.py")
    repo.git("update-index", "--cacheinfo", f"100644,{_id_in(dirty)},a.py")
    patch = repo.git("diff", "--full-index", "a.py").decode()
    repo.git("reset", "-q")
    repo.write({"a.py": "0\n1\n2\n3\n"})
    for branch in ("fix/it", None):
        with pytest.raises(PatchConflictError, match=r"not committed in a\.py"):
            _commit(repo.root, patch, branch)
    assert (repo.root / "a.py").read_text() == "0\n1\n2\n3\n"
    apply_patch(repo.root, parse_patch(patch))
    assert (repo.root / "a.py").read_text() == "0\n1\n2\n3\nfixed\n"


def _id_in(patch: str) -> str:
    return next(line for line in patch.splitlines() if line.startswith("index "))[48:88]


def test_a_staged_change_that_the_worktree_lacks_is_refused(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    patch = _edit(repo)
    repo.write({"a.py": "staged\n"})
    repo.git("add", "a.py")
    repo.write({"a.py": "1\n2\n3\n"})
    with pytest.raises(PatchConflictError, match="staged changes"):
        _commit(repo.root, patch, None)
    assert (repo.root / "gone.py").exists()


def test_filtered_files_are_refused(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    patch = _edit(repo)
    repo.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n* text=auto eol=lf"})
    with pytest.raises(PatchConflictError, match=r"data\.bin .* filter=lfs"):
        _commit(repo.root, patch, "fix/it")


@pytest.mark.parametrize("name", ["main", "main/x", "-x", "a..b", "x.lock", "@{-1}", "", "a b"])
def test_branches_that_cannot_be(make_repo: MakeRepo, name: str) -> None:
    repo = make_repo(_FILES)
    with pytest.raises(WorkspaceError, match=r"branch"):
        choose_target(find_repository(repo.root), name)


def test_what_forbids_a_commit(make_repo: MakeRepo, tmp_path: Path) -> None:
    unborn = make_repo(name="unborn")
    with pytest.raises(WorkspaceError, match="no commit yet"):
        choose_target(find_repository(unborn.root), None)
    detached = make_repo(_FILES, name="detached")
    detached.git("switch", "-q", "--detach", "HEAD")
    with pytest.raises(WorkspaceError, match="detached"):
        choose_target(find_repository(detached.root), None)
    assert choose_target(find_repository(detached.root), "fix").branch == "fix"
    (detached.root / ".git/MERGE_HEAD").touch()
    with pytest.raises(WorkspaceError, match="under way"):
        choose_target(find_repository(detached.root), None)
    (tmp_path / "plain").mkdir()
    with pytest.raises(WorkspaceError, match="not a git repository"):
        choose_target(find_repository(tmp_path / "plain"), None)


def test_an_unknown_author(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo(_FILES)
    monkeypatch.delenv("GIT_AUTHOR_NAME")
    with pytest.raises(WorkspaceError, match="who you are"):
        choose_target(find_repository(repo.root), None)
    repo.git("config", "user.name", "Grace of <this> Repository")
    target = choose_target(find_repository(repo.root), None)
    assert target.identity == "Grace of this Repository <grace@example.org>"


def test_a_linked_worktree(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(_FILES)
    patch = _edit(repo)
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    _commit(tmp_path / "linked", patch, None)
    assert repo.git("diff", "--binary", "--full-index", "-M", "main", "side").decode() == patch
    assert repo.git("-C", str(tmp_path / "linked"), "status", "--porcelain") == b""
    assert b"fast-import" in repo.git("-C", str(tmp_path / "linked"), "reflog", "-1")


def test_sha256_and_packed_and_split(make_repo: MakeRepo) -> None:
    repo = make_repo(name="sha256")
    repo.git("config", "core.bare", "false")
    for place in sorted((repo.root / ".git").rglob("*"), reverse=True):
        place.rmdir() if place.is_dir() else place.unlink()
    repo.git("init", "-q", "-b", "main", "--object-format=sha256")
    repo.write(_FILES)
    repo.commit()
    patch = _edit(repo)
    repo.git("pack-refs", "--all")
    repo.git("update-index", "--split-index")
    _commit(repo.root, patch, None)
    assert _status(repo) == ""
    repo.git("fsck", "--strict")
