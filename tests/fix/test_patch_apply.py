"""Patches made by real git, applied by us: the result is byte for byte what git had."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from real_repo import MakeRepo, Repo

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.fix.apply import FileState, PatchConflictError, ReadFile, compute_changes
from rnj_agent.agent.fix.binary_patch import apply_delta
from rnj_agent.agent.fix.patch import PatchError, parse_patch
from rnj_agent.agent.fix.worktree import apply_patch


def _apply(root: Path, patch: str) -> None:
    apply_patch(root, parse_patch(patch))


def _read_tree(root: Path) -> dict[str, tuple[str, bytes]]:
    """Everything below ``root`` but ``.git``: kind and executable bit, content."""
    found: dict[str, tuple[str, bytes]] = {}
    for place in sorted(root.rglob("*")):
        path = place.relative_to(root).as_posix()
        if path.split("/")[0] == ".git":
            continue
        if place.is_symlink():
            found[path] = ("link", os.fsencode(os.readlink(place)))
        elif place.is_file():
            mode = place.stat().st_mode & stat.S_IXUSR
            found[path] = ("executable" if mode else "file", place.read_bytes())
    return found


def _expect_round_trip(repo: Repo) -> str:
    """The patch of the present changes, applied to a clean copy, makes the same tree."""
    wanted = _read_tree(repo.root)
    patch = repo.diff()
    repo.git("stash", "-q")
    _apply(repo.root, patch)
    assert _read_tree(repo.root) == wanted
    return patch


_NAMES = st.sampled_from(
    ["a", "b.txt", "with space", "dir/c", "dir/deep/d", "ünï", 'quo"te', "tab\there", "back\\slash"]
)
_CONTENTS = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(["x\n", "y\n", "\n", "z\r\n", " \n"]), max_size=30).map("".join),
    st.lists(st.sampled_from(["x\n", "last"]), max_size=4).map("".join),
    st.just(bytes(range(256)) * 20),
)
_STATES = st.tuples(_CONTENTS, st.sampled_from(["file", "executable", "link"]))
_TREES = st.dictionaries(_NAMES, _STATES, max_size=6)


def _lay_out(repo: Repo, tree: Mapping[str, tuple[str | bytes, str]]) -> None:
    for path, (content, kind) in tree.items():
        place = repo.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            place.symlink_to("somewhere")
            continue
        repo.write({path: content})
        place.chmod(0o755 if kind == "executable" else 0o644)


@given(before=_TREES, after=_TREES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_change_of_a_tree_round_trips(
    before: dict[str, tuple[str | bytes, str]], after: dict[str, tuple[str | bytes, str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        old, new = Repo(Path(name, "old")), Repo(Path(name, "new"))
        _lay_out(old, before)
        old.commit()
        _lay_out(new, before)
        new.commit()
        for place in [place for place in new.root.rglob("*") if ".git" not in place.parts]:
            if place.is_symlink() or place.is_file():
                place.unlink()
        _lay_out(new, after)
        try:
            patch = new.diff()
        except UnicodeDecodeError:
            assume(False)
            raise
        _apply(old.root, patch)
        assert _read_tree(old.root) == _read_tree(new.root)


def test_rename_with_an_edit(make_repo: MakeRepo) -> None:
    repo = make_repo({"old name.py": "".join(f"line {n}\n" for n in range(30))})
    repo.git("mv", "old name.py", "new name.py")
    text = (repo.root / "new name.py").read_text()
    repo.write({"new name.py": text.replace("line 7\n", "line seven\n")})
    assert "rename from old name.py" in _expect_round_trip(repo)
    assert not (repo.root / "old name.py").exists()


def test_crlf_and_missing_newline_stay_as_they_are(make_repo: MakeRepo) -> None:
    repo = make_repo({"dos.txt": b"one\r\ntwo\r\nthree", ".gitattributes": "* -text\n"})
    repo.write({"dos.txt": b"one\r\n2\r\nthree"})
    _expect_round_trip(repo)
    assert (repo.root / "dos.txt").read_bytes() == b"one\r\n2\r\nthree"


def test_large_binary_delta(make_repo: MakeRepo) -> None:
    blob = bytes(range(256)) * 400
    repo = make_repo({"data.bin": blob})
    repo.write({"data.bin": blob[:5000] + b"\0changed\0" + blob[5000:]})
    assert "delta " in _expect_round_trip(repo)


def test_mode_change_alone(make_repo: MakeRepo) -> None:
    repo = make_repo({"run.sh": "#!/bin/sh\n"})
    (repo.root / "run.sh").chmod(0o755)
    _expect_round_trip(repo)
    assert os.access(repo.root / "run.sh", os.X_OK)


def test_the_mode_bits_of_an_existing_file_stay(make_repo: MakeRepo) -> None:
    repo = make_repo({"secret.txt": "a\n"})
    repo.write({"secret.txt": "b\n"})
    patch = repo.diff()
    repo.git("stash", "-q")
    (repo.root / "secret.txt").chmod(0o600)
    _apply(repo.root, patch)
    assert stat.S_IMODE((repo.root / "secret.txt").stat().st_mode) == 0o600


def test_file_becomes_folder_and_folder_becomes_file(make_repo: MakeRepo) -> None:
    repo = make_repo({"a": "file\n", "b/inner": "file\n"})
    repo.git("rm", "-q", "a", "b/inner")
    repo.write({"a/inner": "now below\n", "b": "now a file\n"})
    _expect_round_trip(repo)


def test_a_deleted_file_takes_its_empty_folder_along(make_repo: MakeRepo) -> None:
    repo = make_repo({"keep": "", "deep/er/file": "x\n"})
    (repo.root / "deep/er/file").unlink()
    _expect_round_trip(repo)
    assert not (repo.root / "deep").exists()


def test_a_file_that_changed_meanwhile_is_a_conflict(make_repo: MakeRepo) -> None:
    repo = make_repo({"a.py": "1\n2\n3\n", "b.py": "x\n"})
    repo.write({"a.py": "1\n2\nthree\n", "b.py": "y\n"})
    patch = repo.diff()
    repo.git("stash", "-q")
    repo.write({"b.py": "mine\n"})
    with pytest.raises(PatchConflictError, match=r"b\.py is not as it was"):
        _apply(repo.root, patch)
    assert (repo.root / "a.py").read_text() == "1\n2\n3\n"


def test_nothing_is_half_applied(make_repo: MakeRepo) -> None:
    """An ignored file keeps a folder alive where the patch wants a file."""
    repo = make_repo({"a.py": "1\n", "b/inner": "x\n", "c/only": "y\n"})
    repo.git("rm", "-q", "b/inner", "c/only")
    repo.write({"a.py": "2\n", "b": "a file now\n"})
    patch = repo.diff()
    repo.git("stash", "-q")
    repo.write({"b/ignored": "in the way\n"})
    before = _read_tree(repo.root)
    with pytest.raises(WorkspaceError, match="everything is as before"):
        _apply(repo.root, patch)
    assert _read_tree(repo.root) == before
    assert not list(repo.root.glob(".rnj-*"))


def test_a_symlinked_folder_is_not_followed(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo({"lib/a.py": "1\n"})
    repo.write({"lib/a.py": "2\n"})
    patch = repo.diff()
    outside = tmp_path / "outside"
    (repo.root / "lib").rename(outside)
    (outside / "a.py").write_text("1\n")
    (repo.root / "lib").symlink_to(outside)
    with pytest.raises(PatchConflictError, match="symbolic link"):
        _apply(repo.root, patch)
    assert (outside / "a.py").read_text() == "1\n"


_ID = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
_ZERO = "0" * 40


def _new_file(path: str, *, mode: str = "100644", body: str = "x\n") -> str:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\nindex {_ZERO[:7]}..{_ID[:7]}\n"
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{body}"
    )


@pytest.mark.parametrize(
    "path",
    [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        ".git/hooks/pre-commit",
        "sub/.git/config",
        ".GIT/config",
        ".git./config",
        ".git /config",
        "GIT~1/config",
        ".git::$INDEX_ALLOCATION/config",
        ".g\u200cit/config",
        "a//b",
        "./a",
        "sub\\.git\\config",
        "",
    ],
)
def test_paths_that_must_not_be_written(path: str) -> None:
    with pytest.raises(PatchError, match="refused"):
        parse_patch(_new_file(path))


@pytest.mark.parametrize("mode", ["160000", "100777", "040000", "120755", "xyz", "100666"])
def test_modes_that_must_not_be_made(mode: str) -> None:
    with pytest.raises(PatchError, match="refused"):
        parse_patch(_new_file("a", mode=mode))


@pytest.mark.parametrize("target", ["/etc/passwd", "../out", "x/../../out", ".git/config", ""])
def test_links_that_lead_out(target: str, tmp_path: Path) -> None:
    patch = _new_file("link", mode="120000", body=f"{target}\n\\ No newline at end of file\n")
    with pytest.raises(PatchError, match=r"leads out"):
        _apply(tmp_path, patch)


def test_a_link_that_stays_inside(tmp_path: Path) -> None:
    body = "../b/c\n\\ No newline at end of file\n"
    _apply(tmp_path, _new_file("a/link", mode="120000", body=body))
    assert os.readlink(tmp_path / "a/link") == "../b/c"


def test_a_file_below_a_link_of_the_same_patch(tmp_path: Path) -> None:
    link = _new_file("a", mode="120000", body="b\n\\ No newline at end of file\n")
    with pytest.raises(WorkspaceError):
        _apply(tmp_path, link + _new_file("a/evil"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "patch",
    [
        "not a patch\n",
        "diff --git a/x b/y\n",
        "diff --git a/x b/y\nrename from x\n",
        "diff --git a/x b/x\nBinary files a/x and b/x differ\n",
        "diff --git a/x b/x\nnew file mode 100644\ndeleted file mode 100644\n",
        "diff --git a/x b/x\n--- a/y\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1 @@\n-a\n+b\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nrubbish\n",
        'diff --git "a/x b/x\n',
        "diff --git a/x b/x\nGIT binary patch\nliteral 99999999999\n",
        "diff --git a/x b/x\nGIT binary patch\nliteral 5\nzzzzz\n\n",
    ],
)
def test_what_is_not_a_patch(patch: str) -> None:
    with pytest.raises(PatchError, match="refused at line"):
        parse_patch(patch)


def test_a_result_that_is_not_the_claimed_one() -> None:
    patch = _new_file("a").replace(f"{_ZERO[:7]}..{_ID[:7]}", f"{_ZERO}..{_ID}")
    with pytest.raises(PatchError, match="what it claims"):
        compute_changes(parse_patch(patch), _nothing)


def _nothing(path: str) -> FileState | None:
    return None


_PIECES = st.sampled_from(
    [
        "diff --git a/x b/x\n",
        "diff --git a/../x b/../x\n",
        "new file mode 100644\n",
        "deleted file mode 100644\n",
        "old mode 100644\n",
        "new mode 120000\n",
        "rename from x\n",
        "rename to ../y\n",
        "rename to y\n",
        "index 1234567..89abcde 100644\n",
        "--- a/x\n",
        "--- /dev/null\n",
        "+++ b/x\n",
        "+++ b//etc/x\n",
        "@@ -1 +1 @@\n",
        "@@ -0,0 +1,2 @@\n",
        "-a\n",
        "+b\n",
        " c\n",
        "\\ No newline at end of file\n",
        "GIT binary patch\n",
        "literal 3\n",
        "delta 4\n",
        "KcmZQz!p+DKL;xfp00\n",
        "\n",
    ]
)
_PATCHES = st.one_of(st.text(), st.lists(_PIECES, max_size=14).map("".join))


@given(patch=_PATCHES, content=st.binary(max_size=20))
@settings(max_examples=2000, deadline=None)
def test_hostile_patches_are_refused_or_stay_inside(patch: str, content: bytes) -> None:
    def read(path: str) -> FileState | None:
        return FileState(mode=0o100644, content=content) if path == "x" else None

    reader: ReadFile = read
    try:
        changes = compute_changes(parse_patch(patch), reader)
    except WorkspaceError:
        return
    assert all(change.path in {"x", "y"} for change in changes)


@given(source=st.binary(max_size=64), delta=st.binary(max_size=64))
@settings(max_examples=1000, deadline=None)
def test_hostile_deltas_are_errors(source: bytes, delta: bytes) -> None:
    try:
        apply_delta(source, delta)
    except ValueError:
        return


def test_the_patch_is_one_that_git_takes_too(make_repo: MakeRepo) -> None:
    """So that a saved patch can be applied by hand."""
    repo = make_repo({"ünï code.py": "a\n"})
    repo.write({"ünï code.py": "b\n"})
    patch = repo.diff()
    repo.git("stash", "-q")
    repo.git("apply", "--check", stdin=patch.encode())
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("apply", "--check", "-R", stdin=patch.encode())
