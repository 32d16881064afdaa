"""rnj-agent fix with a scripted model: in both sandboxes, and as a person runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_repo import MakeRepo, Repo

from rnj_agent.agent.approval import allow_all
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Event, Notice
from rnj_agent.agent.fix.commit import choose_target
from rnj_agent.agent.fix.deliver import Delivery, commit_message, deliver
from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.report import FixReport, render_report
from rnj_agent.agent.fix.repository import take_snapshot
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.fix.run import FixRun
from rnj_agent.agent.fix.verification import TestCommand
from rnj_agent.agent.model import ModelRequest
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.scripted_server import ScriptedServer, json_reply, text_reply
from rnj_agent.sandbox.base import Sandbox

_BUGGY = "def add(a, b):\n    return a - b\n"
_FIXED = "def add(a, b):\n    return a + b\n"
_TEST = """from calc import add


def test_add():
    assert add(2, 2) == 4, f"2 + 2 = {add(2, 2)}"


if __name__ == "__main__":
    test_add()
"""
_FILES: dict[str, str | bytes] = {"calc.py": _BUGGY, "test_calc.py": _TEST, "notes.md": "x\n"}
_ISSUE = Issue(title="add() subtracts", body="add() subtracts", source="text")
_TESTS = TestCommand(command="python3 test_calc.py")
_PYTEST = TestCommand(command="python3 -m pytest -q -p no:cacheprovider")


def _call(name: str, **arguments: str) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


_LOOK = _call("bash", command="cat calc.py")
_EDIT = _call("edit", path="calc.py", old="a - b", new="a + b")
_WRONG = _call("edit", path="calc.py", old="a - b", new="a * b + 1")
_SUBMIT = _call("submit", message="add() subtracted; it adds now.")


class _Silent:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def tick(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "grace@example.org")
    return tmp_path / "state"


async def _fix(
    sandbox: Sandbox, start: Path, turns: list[str], tests: TestCommand | None = _TESTS
) -> tuple[FixReport, ScriptedModel]:
    request = FixRequest(issue=_ISSUE, snapshot=take_snapshot(start), tests=tests)
    said: list[Notice] = []
    run = FixRun(
        config=Config(),
        request=request,
        approve=allow_all,
        renderer=_Silent(),
        say=said.append,
    )
    model = ScriptedModel(turns)
    return await run.run_in(model, sandbox, "20260102-030405-abcdef"), model


async def test_an_issue_becomes_a_verified_commit(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    repo.write({"notes.md": "not finished\n"})
    snapshot = take_snapshot(repo.root)
    report, model = await _fix(sandbox, repo.root, [_LOOK, _EDIT, _SUBMIT], _PYTEST)
    assert (report.finished.reason, report.finished.verified) == ("submitted", True)
    assert report.patch_file is not None
    assert report.patch_file.read_text() == report.finished.patch
    delivery = Delivery(target=choose_target(snapshot.paths, "fix/add"), apply=True)
    done = deliver(report, delivery, snapshot, commit_message(_ISSUE, report))
    assert len(done) == 2
    assert (repo.root / "calc.py").read_text() == _FIXED
    assert repo.git("diff", "--name-only", "main", "fix/add") == b"calc.py\n"
    assert repo.git("log", "-1", "--format=%B", "fix/add").decode().strip() == (
        "Fix: add() subtracts\n\nAssisted-by: rnj-agent (scripted)"
    )
    text = render_report(report)
    assert "failed (exit 1) before, passed after" in text
    assert "calc.py +1 -1" in text
    first = model.requests[0].messages[1].content
    assert "It fails now" in first
    assert "return a - b" in first


async def test_a_wrong_fix_gets_evidence_and_a_second_chance(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    again = _call("edit", path="calc.py", old="a * b + 1", new="a + b")
    turns = [_SUBMIT, _WRONG, _SUBMIT, again, _SUBMIT]
    report, model = await _fix(sandbox, make_repo(_FILES).root, turns)
    assert (report.finished.reason, report.finished.verified) == ("submitted", True)
    told = [_last_message(request) for request in model.requests]
    assert "Nothing is changed yet" in told[1]
    assert "Not accepted" in told[3]
    assert "AssertionError: 2 + 2 = 5" in told[3]


def _last_message(request: ModelRequest) -> str:
    return request.messages[-1].content


async def test_a_fix_that_never_passes_is_told_so(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    cheat = _call("edit", path="test_calc.py", old="== 4", new="== 0")
    turns = [cheat, _SUBMIT, _SUBMIT + " ", _SUBMIT + "  ", _SUBMIT + "   "]
    report, _ = await _fix(sandbox, make_repo(_FILES).root, turns)
    assert report.finished.verified is False
    assert report.tests_modified == ("test_calc.py",)
    assert report.finished.detail == "the model submitted again after 2 rejections: the tests fail"
    text = render_report(report)
    assert "does NOT pass" in text
    assert "changes existing tests: test_calc.py" in text


async def test_without_a_test_command_nothing_is_claimed(
    sandbox: Sandbox, make_repo: MakeRepo
) -> None:
    root = make_repo({"calc.py": _BUGGY}).root
    report, _ = await _fix(sandbox, root, [_EDIT, _SUBMIT], tests=None)
    assert (report.finished.verified, report.tests_found) == (None, "")
    assert "nothing proves it" in render_report(report)


async def test_where_none_is_given_tests_are_found(sandbox: Sandbox, make_repo: MakeRepo) -> None:
    report, model = await _fix(sandbox, make_repo(_FILES).root, [_EDIT, _SUBMIT], tests=None)
    assert report.finished.verified is True
    assert "test_calc.py" in report.tests_found
    assert f"found, not given (--test-cmd gives others): {report.tests_found}" in render_report(
        report
    )
    assert "It fails now" in model.requests[0].messages[1].content


def _plant(repo: Repo, canary: Path) -> None:
    """Everything in a repository that could make git start a program."""
    program = repo.root.parent / "planted.sh"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {canary}\ncat\n')
    program.chmod(0o755)
    keys = [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "core.gitProxy",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "merge.evil.driver",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "gpg.program",
        "credential.helper",
        "uploadpack.packObjectsHook",
        "hook.evil.command",
        "interactive.diffFilter",
        "sequence.editor",
        "pager.config",
        "pager.ls-files",
        "core.alternateRefsCommand",
    ]
    for key in keys:
        repo.git("config", key, str(program))
    for name in ("ls-files", "config", "fast-import", "status"):
        repo.git("config", f"alias.{name}", f"!{program}")
    repo.git("config", "hook.evil.event", "reference-transaction")
    repo.git("config", "commit.gpgSign", "true")
    repo.git("config", "filter.evil.required", "true")
    repo.git("config", "core.hooksPath", str(repo.root / "hooks"))
    for folder in (repo.root / "hooks", repo.root / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in (
            "reference-transaction",
            "post-index-change",
            "pre-commit",
            "commit-msg",
            "post-commit",
            "post-checkout",
            "fsmonitor-watchman",
            "pre-auto-gc",
        ):
            (folder / hook).write_text(f"#!/bin/sh\necho {hook} >> {canary}\n")
            (folder / hook).chmod(0o755)
    attributes = repo.root / ".git" / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("*.md filter=evil diff=evil merge=evil\n")
    repo.write({".gitattributes": "*.txt filter=evil diff=evil merge=evil\n"})
    # Last: from here on git itself would work on another folder.
    (repo.root.parent / "included").write_text(f"[core]\n\tfsmonitor = {program}\n")
    repo.git("config", "include.path", str(repo.root.parent / "included"))
    repo.git("config", "core.worktree", "/etc")


async def test_a_hostile_repository_starts_nothing_on_the_host(
    sandbox: Sandbox, make_repo: MakeRepo, tmp_path: Path
) -> None:
    repo = make_repo(_FILES | {"data.txt": "x\n"})
    canary = tmp_path / "canary"
    _plant(repo, canary)
    turns = [_EDIT, _call("bash", command="git status; git add -A; git diff --stat"), _SUBMIT]
    report, _ = await _fix(sandbox, repo.root, turns)
    snapshot = take_snapshot(repo.root)
    assert report.finished.verified
    assert [file.path for file in report.files] == ["calc.py"]
    message = commit_message(_ISSUE, report)
    branch = Delivery(target=choose_target(snapshot.paths, "fix/add"))
    deliver(report, branch, snapshot, message)
    deliver(report, Delivery(target=choose_target(snapshot.paths, None)), snapshot, message)
    assert (repo.root / "calc.py").read_text() == _FIXED
    assert not canary.exists(), canary.read_text()
    (repo.root / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 0\n")
    names = repo.git("diff", "--name-only", "main~1", "fix/add", "--", "calc.py")
    assert names == b"calc.py\n"


def _serve(replies: list[str], act: Callable[[str], Any]) -> Any:
    """Call ``act`` in a thread with the address of a server that plays the replies."""

    async def run() -> Any:
        models = json_reply({"data": [{"id": "scripted", "max_model_len": 32768}]})
        paths = {
            "/v1/models": models,
            "/v1/chat/completions": [text_reply(reply) for reply in replies],
        }
        async with ScriptedServer(paths) as server:
            return await asyncio.to_thread(act, server.base_url)

    return asyncio.run(run())


def _cli(repo: Repo, replies: list[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``rnj-agent fix`` in bubblewrap."""
    import subprocess

    def act(url: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "rnj_agent.agent.cli", "fix", "--repo", str(repo.root)]
        command += ["--endpoint", url, "--model", "scripted", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ, check=False, timeout=120
        )
        return done.returncode, done.stdout, done.stderr

    result: tuple[int, str, str] = _serve(replies, act)
    return result


_WITH_TESTS = ("--issue", "add() subtracts, it should add", "--test-cmd", _TESTS.command)


def test_the_patch_is_on_stdout(sandbox_kind: str, make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    code, out, err = _cli(repo, [_EDIT, _SUBMIT], *_WITH_TESTS, "--sandbox", sandbox_kind)
    assert code == 0, err
    assert out.startswith("diff --git a/calc.py b/calc.py\n")
    assert "a patch that passes the tests" in err
    assert repo.git("status", "--porcelain") == b""
    repo.git("apply", stdin=out.encode())
    assert (repo.root / "calc.py").read_text() == _FIXED


@pytest.mark.bubblewrap
def test_exit_codes_and_where_things_go(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(_FILES)
    common = (*_WITH_TESTS, "--sandbox", "bubblewrap")
    code, out, err = _cli(repo, [_WRONG, _SUBMIT], *common, "--apply", "--max-steps", "6")
    assert code == 6, err
    assert out.startswith("diff --git")
    assert "Not applied" in err
    assert (repo.root / "calc.py").read_text() == _BUGGY

    code, out, err = _cli(repo, ["I do not know."], *common, "--json")
    assert code == 3, err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["kind"] == "run_started"
    assert events[-1]["kind"] == "run_finished"

    file = tmp_path / "out.patch"
    code, out, err = _cli(repo, [_EDIT, _SUBMIT], *common, "-o", str(file), "--commit")
    assert (code, out) == (0, ""), err
    assert file.read_text().startswith("diff --git")
    assert repo.git("log", "-1", "--format=%s") == b"Fix: add() subtracts, it should add\n"
    assert repo.git("status", "--porcelain") == b""


def test_what_is_wrong_is_said_before_a_model_is_asked(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(_FILES)
    bad = [
        (("--issue", "missing.md"), "There is no file missing.md"),
        (("--issue", "x y", "--branch", "main"), "exists already"),
        (("--issue", "x y", "--repo", str(tmp_path / "nowhere")), "There is no folder"),
    ]
    for arguments, message in bad:
        code, out, err = _cli(repo, [], *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert "next: " in err
