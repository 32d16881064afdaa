"""A session's files in real sandboxes: undo, resume, kill, and what becomes of the work."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnj_agent.agent.errors import SessionError, WorkspaceError
from rnj_agent.agent.events import FilesChanged, Redone, Rewound, RunFinished
from rnj_agent.agent.history import history
from rnj_agent.agent.messages import AssistantMessage, ToolMessage
from rnj_agent.agent.session import read_events, sessions_dir
from rnj_agent.agent.session_list import find_session
from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.errors import SandboxError
from tests.agent.live.conftest import OpenSession, past
from tests.agent.loop_runs import bash, of_kind
from tests.sandbox.conftest import available, kind, make_backend

ROOT = Path(__file__).parents[3]
NewSandbox = Callable[[], Sandbox]
WRITE = bash("printf 'x = 1\\n' > b.py && mkdir -p made/empty && echo log > made/ignored.log")
WRECK = bash("rm -rf a.py .git && printf 'x = 2\\n' > b.py && chmod 700 made")
LIST = "find . -mindepth 1 -path ./.git -prune -o -printf '%P %y %m\\n' | sort; cat a.py b.py"

__all__ = ["kind"]


@pytest.fixture
def new_sandbox(kind: str) -> NewSandbox:
    return lambda: BackendSandbox(make_backend(kind))


@pytest.fixture
def one_sandbox() -> NewSandbox:
    """The first kind that this machine has."""
    try:
        find_bubblewrap()
    except SandboxError:
        return lambda: BackendSandbox(make_backend(available("docker")))
    return lambda: BackendSandbox(make_backend("bubblewrap"))


def subjects(repo: Path) -> list[str]:
    command = ["git", "log", "--all", "--format=%s"]
    return sorted(subprocess.check_output(command, cwd=repo, text=True).splitlines())


def run_and_kill(repo: Path) -> Path:
    """A session that was killed in the middle of a command, and of a line."""
    command = [sys.executable, "-m", "tests.agent.live.killed_session", str(repo)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kinds = (json.loads(line)["kind"] for line in process.stdout)
        if "tool_output_delta" not in kinds:
            pytest.skip("no sandbox; do: apt-get install bubblewrap")
        process.send_signal(signal.SIGKILL)
    directory = find_session("last").directory
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b'{"text":"torn')
    return directory


async def look(sandbox: Sandbox, script: str = LIST) -> str:
    return (await sandbox.execute(script, cwd=sandbox.workdir)).output


async def test_undo_takes_back_what_commands_did(
    open_session: OpenSession, new_sandbox: NewSandbox, repo: Path
):
    sandbox = new_sandbox()
    async with open_session([WRITE, WRECK, "Done.", "Fresh."], sandbox) as session:
        session.send("go")
        await session.idle()
        wrecked = await look(sandbox)
        with pytest.raises(SessionError, match="not in this session"):
            await session.undo(9)
        assert await session.undo(2) == ""
        between = await look(sandbox)
        assert "x = 1" in between
        assert "print('a')" in between
        assert "made/empty d 755" in between
        assert "a.py" not in await session.patch()
        await session.redo()
        assert await look(sandbox) == wrecked
        assert await session.undo(1) == "go"
        assert await session.patch() == ""
        assert (await look(sandbox)).splitlines()[:2] == ["a.py f 644", "print('a')"]
        assert "On branch main" in await look(sandbox, "git status")
        session.send("again")
        await session.idle()
    events = list(read_events(sessions_dir() / session.status.session_id))
    assert [message.role for message in history(events)] == ["system", "user", "assistant"]
    assert [event.step for event in of_kind(events, Rewound)] == [2, 1]
    assert len(of_kind(events, Redone)) == 1
    shown = of_kind(events, FilesChanged)[1]
    assert (shown.num_files, "+x = 1" in shown.patch) == (2, True)


async def test_a_closed_session_goes_on_elsewhere(
    open_session: OpenSession, one_sandbox: NewSandbox, repo: Path
):
    first = one_sandbox()
    async with open_session([WRITE, WRECK, "Done."], first) as session:
        session.send("go")
        await session.idle()
        before, patch = await look(first), await session.patch()
    shutil.rmtree(repo)

    second = one_sandbox()
    async with open_session(["Yes."], second, resume=session.status.session_id) as again:
        await again.idle()
        assert again.status.phase == "ready"
        assert await look(second) == before
        assert await again.patch() == patch
        again.send("still there?")
        await again.idle()
        await again.undo(2)
        assert "On branch main" in await look(second, "git status")
        assert "x = 1" in await look(second)
    kinds = [event.kind for event in await past(again)]
    assert kinds.count("run_started") == 2
    assert kinds.count("files_changed") == 3


async def test_work_is_delivered_once(
    open_session: OpenSession, one_sandbox: NewSandbox, repo: Path
):
    turns = [WRITE, "One.", bash("echo 'y = 2' >> b.py"), "Two.", "Three."]
    async with open_session(turns, one_sandbox()) as session:
        session.send("one")
        await session.idle()
        assert "2 files" in await session.apply()
        assert (repo / "b.py").read_text() == "x = 1\n"
        with pytest.raises(WorkspaceError, match="nothing new"):
            await session.apply()
        session.send("two")
        await session.idle()
    async with open_session(["Three."], one_sandbox(), resume=session.status.session_id) as again:
        await again.idle()
        assert "+x = 1" in await again.patch()
        await again.apply()
        assert (repo / "b.py").read_text() == "x = 1\ny = 2\n"


async def test_commit_and_branch(open_session: OpenSession, one_sandbox: NewSandbox, repo: Path):
    turns = [WRITE, "One.", bash("echo 'y = 2' >> b.py"), "Two."]
    async with open_session(turns, one_sandbox()) as session:
        session.send("one")
        await session.idle()
        commit = await session.commit("Add b")
        session.send("two")
        await session.idle()
        branch = await session.branch("more", "Add y")
    assert subjects(repo) == ["Add b", "Add y", "start"]
    assert (commit.branch, branch.branch) == ("main", "more")
    assert (repo / "b.py").read_text() == "x = 1\n"


async def test_a_killed_session_resumes_well_formed(
    open_session: OpenSession, one_sandbox: NewSandbox, repo: Path
):
    directory = run_and_kill(repo)
    name = directory.name

    sandbox = one_sandbox()
    async with open_session(["Back."], sandbox, resume=name) as session:
        with pytest.raises(SessionError, match="open in another process"):
            open_session(["Back."], resume=name)
        session.send("go on")
        await session.idle()
        assert await look(sandbox, "cat b") == "1\n"
    events = list(read_events(directory))
    reasons = [event.reason for event in of_kind(events, RunFinished)]
    assert reasons == ["interrupted", "answered"]
    asked: list[str] = []
    answered: list[str] = []
    for message in history(events):
        match message:
            case AssistantMessage(tool_calls=calls):
                asked += [call.id for call in calls]
            case ToolMessage():
                answered.append(message.tool_call_id)
            case _:
                pass
    assert asked == answered == ["call00001", "call00002"]
