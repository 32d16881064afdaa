"""The copy in a real sandbox: what the patch holds, whatever the model does in there."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_repo import MakeRepo, Repo

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.events import Event, Notice, VerificationFinished, VerificationStarted
from rnj_agent.agent.fix.feedback import NO_FILE_CHANGED
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.fix.repository import take_snapshot
from rnj_agent.agent.fix.verification import TestCommand
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.fix.worktree import apply_patch
from rnj_agent.agent.workspace import UNCHANGED, Evidence
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.tools.base import ToolResult

_BUGGY = "def add(a, b):\n    return a - b\n"
_FIXED = "def add(a, b):\n    return a + b\n"
_TEST = """from calc import add


def test_add():
    assert add(2, 2) == 4, f"2 + 2 = {add(2, 2)}"


if __name__ == "__main__":
    test_add()
"""
_FILES: dict[str, str | bytes] = {"calc.py": _BUGGY, "test_calc.py": _TEST}
_TESTS = TestCommand(command="python3 test_calc.py")
_PYTEST = TestCommand(command="python3 -m pytest -q -p no:cacheprovider")


def _ignore(event: Event) -> None:
    pass


async def _prepare(sandbox: Sandbox, start: Path, tests: TestCommand | None = None) -> FixWorkspace:
    workspace = FixWorkspace(sandbox=sandbox, tests=tests)
    await workspace.prepare(take_snapshot(start))
    return workspace


async def _do(sandbox: Sandbox, command: str) -> str:
    result = await sandbox.execute(command)
    assert result.exit_code == 0, result.output
    return result.output


async def _fix(sandbox: Sandbox) -> None:
    await _do(sandbox, "sed -i 's/a - b/a + b/' calc.py")


async def _fix_again(sandbox: Sandbox) -> None:
    await _do(sandbox, "sed -i 's/a . a . b/a + b/' calc.py")


async def test_what_the_user_sees_is_copied(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    repo = make_repo(
        {
            "tracked.txt": "committed\n",
            "deleted.txt": "x\n",
            "run.sh": "#!/bin/sh\n",
            'ünï cöde "q"\t.txt': "x\n",
            ".gitignore": "*.log\n",
            "kept.log": "tracked though ignored\n",
        }
    )
    repo.write({"tracked.txt": "changed\n", "new.txt": "untracked\n", "big.log": "ignored\n"})
    (repo.root / "deleted.txt").unlink()
    (repo.root / "run.sh").chmod(0o755)
    (repo.root / "link").symlink_to("/etc/passwd")
    (repo.root / "sub dir").mkdir()
    (repo.root / "sub dir" / "-dash").write_text("x\n")
    workspace = await _prepare(sandbox, repo.root / "sub dir")
    assert (await _do(sandbox, "pwd; ls 'sub dir'")).splitlines() == [sandbox.workdir, "-dash"]
    assert (await _do(sandbox, "cat tracked.txt new.txt kept.log; readlink link")).splitlines() == [
        "changed",
        "untracked",
        "tracked though ignored",
        "/etc/passwd",
    ]
    await _do(sandbox, "test -x run.sh && ! test -e deleted.txt && ! test -e big.log")
    assert await _do(sandbox, "git status --porcelain; git log --format=%s") == (
        "The files as they were copied\n"
    )
    assert await workspace.collect() == ""


async def test_every_kind_of_change_comes_out_and_applies(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    repo = make_repo(
        {
            "edit me.py": "1\n2\n3\n",
            "dos.txt": b"one\r\ntwo\r\nthree",
            "latin.txt": "Gr\u00fc\u00dfe\n".encode("latin-1"),
            "moved.py": "".join(f"line {n}\n" for n in range(40)),
            "gone.txt": "x\n",
            "data.bin": bytes(range(256)),
            "script": "#!/bin/sh\n",
            ".gitattributes": "*.txt text eol=lf\n*.py diff=python filter=lfs\n",
            "folder/file": "x\n",
        }
    )
    workspace = await _prepare(sandbox, repo.root)
    await _do(
        sandbox,
        r"""
        printf '1\ntwo\n3' > 'edit me.py'
        printf 'one\r\n2\r\nthree' > dos.txt
        printf 'Gr\374\337e!\n' > latin.txt
        git mv moved.py elsewhere.py && sed -i 's/line 7$/line seven/' elsewhere.py
        rm gone.txt
        head -c 3000 /dev/urandom > data.bin
        chmod +x script
        printf 'x\n' > $'n\303\253w "quoted"\ttab.txt'
        ln -s 'edit me.py' link
        rm -r folder && echo 'a file' > folder
        """,
    )
    patch = await workspace.collect()
    apply_patch(repo.root, parse_patch(patch))
    assert (repo.root / "edit me.py").read_bytes() == b"1\ntwo\n3"
    assert (repo.root / "dos.txt").read_bytes() == b"one\r\n2\r\nthree"
    assert (repo.root / "latin.txt").read_bytes() == "Gr\u00fc\u00dfe!\n".encode("latin-1")
    assert "line seven\n" in (repo.root / "elsewhere.py").read_text()
    assert (repo.root / "script").stat().st_mode & 0o100
    assert (repo.root / "folder").read_text() == "a file\n"
    assert (repo.root / "link").readlink() == Path("edit me.py")
    names = sorted(place.name for place in repo.root.iterdir())
    assert names == sorted(
        [
            ".git",
            ".gitattributes",
            "data.bin",
            "dos.txt",
            "edit me.py",
            "elsewhere.py",
            "folder",
            "latin.txt",
            "link",
            'nëw "quoted"\ttab.txt',
            "script",
        ]
    )


_MISCHIEF = (
    "git add -A && git commit -qm done",
    "git update-index --assume-unchanged calc.py",
    "echo '* filter=x diff=x text eol=crlf working-tree-encoding=UTF-16' > .git/info/attributes"
    " && git config filter.x.clean 'tr a-z A-Z' && git config diff.x.textconv rev"
    " && git config core.autocrlf true && git config diff.noprefix true",
    "git config --global diff.noprefix true; git config --global core.autocrlf input",
    "mkdir vendor && cd vendor && git init -q && touch x && git add x && git commit -qm x && cd ..",
    "touch patch.txt my.patch a.pyc b.orig && mkdir -p __pycache__ node_modules/x"
    " && touch __pycache__/c node_modules/x/y",
    "mkfifo pipe",
    "rm -rf .git",
    "git init -q && git add -A",
    "rm -rf .git && ln -s / .git",
    "export GIT_DIR=/nowhere GIT_INDEX_FILE=/nowhere GIT_EXTERNAL_DIFF=/bin/true PATH=/nowhere",
)


async def test_mischief_does_not_change_the_patch(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    workspace = await _prepare(sandbox, repo.root)
    await _fix(sandbox)
    repo.write({"calc.py": _FIXED})
    wanted = repo.diff()
    for mischief in _MISCHIEF:
        await _do(sandbox, mischief)
        assert await workspace.collect() == wanted, mischief


async def test_what_the_model_made_unreadable(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root)
    await _fix(sandbox)
    await _do(sandbox, "chmod 000 calc.py")
    (file,) = parse_patch(await workspace.collect())
    assert file.path == "calc.py"
    assert file.hunks


async def test_attributes_written_by_the_model_do_not_convert(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    repo = make_repo({"dos.txt": b"one\r\ntwo\r\n"})
    workspace = await _prepare(sandbox, repo.root)
    await _do(
        sandbox, r"echo '* text=auto eol=lf -diff' > .gitattributes; printf '3\r\n' >> dos.txt"
    )
    apply_patch(repo.root, parse_patch(await workspace.collect()))
    assert (repo.root / "dos.txt").read_bytes() == b"one\r\ntwo\r\n3\r\n"


async def test_submodules_and_inner_repositories_are_plain_files(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    repo = make_repo({"a": "a\n"})
    inner = make_repo({"lib.py": "1\n"}, name="inner")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.root), "sub")
    repo.commit()
    nested = Repo(repo.root / "nested")
    nested.write({"n.py": "1\n", "n.log": "", ".gitignore": "*.log\n"})
    workspace = await _prepare(sandbox, repo.root)
    await _do(sandbox, "echo 2 > sub/lib.py; echo 2 > nested/n.py; test ! -e nested/n.log")
    patch = await workspace.collect()
    assert [file.path for file in parse_patch(patch)] == ["nested/n.py", "sub/lib.py"]
    apply_patch(repo.root, parse_patch(patch))
    assert (repo.root / "sub/lib.py").read_text() == "2\n"


async def test_a_folder_without_git(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "x.js").write_text("x")
    (tmp_path / "calc.py").write_text(_BUGGY)
    workspace = await _prepare(sandbox, tmp_path)
    await _do(sandbox, "test ! -e node_modules")
    await _fix(sandbox)
    apply_patch(tmp_path, parse_patch(await workspace.collect()))
    assert (tmp_path / "calc.py").read_text() == _FIXED


async def test_submission_before_any_change(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root, _TESTS)
    review = await workspace.review(_ignore)
    assert not review.accepted
    assert "Nothing is changed yet" in review.feedback


async def test_tests_before_and_after(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root, _PYTEST)
    events: list[Event] = []
    await workspace.test_before(events.append)
    assert [type(event) for event in events] == [VerificationStarted, VerificationFinished]
    await _do(sandbox, "echo '# comment' >> calc.py")
    review = await workspace.review(events.append)
    assert (review.accepted, review.verified) == (False, False)
    assert "2 + 2 = 0" in review.feedback
    await _fix(sandbox)
    review = await workspace.review(events.append)
    assert (review.accepted, review.verified) == (True, True)
    assert "__pycache__" not in await workspace.collect()


async def test_each_change_is_tested_and_told(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root, _TESTS)
    await workspace.test_before(_ignore)
    events: list[Event] = []
    looked, silent = ToolResult(content="a"), ToolResult(content="", is_silent=True)
    assert (await workspace.after_call(looked, events.append)) == Evidence(state=UNCHANGED)
    assert (await workspace.after_call(silent, events.append)).text == NO_FILE_CHANGED
    await _do(sandbox, "sed -i 's/a - b/a * a * b/' calc.py")
    assert "2 + 2 = 8" in (await workspace.after_call(silent, events.append)).text
    await _fix_again(sandbox)
    passing = await workspace.after_call(silent, events.append)
    assert passing.settles
    assert "The tests pass now" in passing.text
    finished = [event for event in events if isinstance(event, VerificationFinished)]
    assert [(event.phase, event.passed) for event in finished] == [
        ("during", False),
        ("during", True),
    ]


async def test_what_the_test_command_leaves_behind_is_not_the_models(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    tests = TestCommand(
        command="echo x > 'made [1].txt'; echo y >> calc.py; rm test_calc.py; false"
    )
    workspace = await _prepare(sandbox, make_repo(_FILES).root, tests)
    events: list[Event] = []
    await workspace.test_before(events.append)
    assert any(isinstance(event, Notice) and "calc.py" in event.text for event in events)
    assert await workspace.collect() == ""
    assert await _do(sandbox, "git status --porcelain") == ""


async def test_a_changed_test_is_not_proof(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root, _TESTS)
    await _do(sandbox, "sed -i 's/== 4/== 0/' test_calc.py")
    review = await workspace.review(_ignore)
    assert (review.accepted, review.verified) == (False, False)
    assert "only because test_calc.py was changed" in review.feedback
    assert workspace.tests_modified == ("test_calc.py",)
    await _fix(sandbox)
    await _do(
        sandbox, "printf '\\n\\ndef test_more():\\n    assert add(1, 1) == 2\\n' >> test_calc.py"
    )
    await _do(sandbox, "sed -i 's/== 0/== 4/' test_calc.py")
    review = await workspace.review(_ignore)
    assert (review.accepted, review.verified) == (True, True)


async def test_a_new_conftest_does_not_switch_tests_off(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root, _PYTEST)
    await _do(sandbox, "echo 'import os; os._exit(0)' > conftest.py")
    review = await workspace.review(_ignore)
    assert (review.accepted, review.verified) == (False, False)


async def test_a_test_command_that_cannot_run(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    tests = TestCommand(command="no-such-runner --all")
    workspace = await _prepare(sandbox, make_repo(_FILES).root, tests)
    with pytest.raises(WorkspaceError, match=r"cannot run in the sandbox.*no-such-runner"):
        await workspace.test_before(_ignore)


@pytest.mark.parametrize("selection", ["no_such_test.py", "-k nothing_like_it"])
async def test_a_test_command_without_tests(
    sandbox: Sandbox, make_repo: MakeRepo, selection: str
) -> None:
    tests = TestCommand(command=f"python3 -m pytest -q {selection}")
    workspace = await _prepare(sandbox, make_repo(_FILES).root, tests)
    events: list[Event] = []
    await workspace.test_before(events.append)
    assert any(isinstance(event, Notice) and "finds no tests" in event.text for event in events)


async def test_a_test_command_that_hangs(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    tests = TestCommand(command="echo started; sleep 60", timeout_s=1.0)
    workspace = await _prepare(sandbox, make_repo(_FILES).root, tests)
    await workspace.test_before(_ignore)
    assert workspace.before is not None
    assert not workspace.before.passed
    assert "stopped after 1 s" in workspace.before.output


async def test_a_baseline_that_the_model_removed(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root)
    await _do(sandbox, f"rm -rf {sandbox.state_dir}/baseline.git")
    review = await workspace.review(_ignore)
    assert not review.accepted
    assert "cannot be compared" in review.feedback


async def test_a_patch_that_is_too_large(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    workspace = await _prepare(sandbox, make_repo(_FILES).root)
    await _do(sandbox, "head -c 20M /dev/urandom > dump")
    review = await workspace.review(_ignore)
    assert not review.accepted
    assert "large" in review.feedback
