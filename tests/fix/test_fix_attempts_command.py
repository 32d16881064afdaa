"""``rnj-agent fix --attempts N`` as a process, with a scripted model server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from real_repo import MakeRepo, Repo

from rnj_agent.agent.scripted_server import (
    ScriptedReply,
    ScriptedServer,
    json_reply,
    stream_reply,
    text_reply,
)
from rnj_agent.agent.session_list import list_sessions
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.errors import SandboxUnavailableError

pytestmark = pytest.mark.bubblewrap

_FILES: dict[str, str | bytes] = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "check_calc.py": "from calc import add\n\nassert add(2, 2) == 4, add(2, 2)\n",
}
_STALLED = stream_reply(600.0)


def _call(name: str, **arguments: str) -> ScriptedReply:
    call = json.dumps({"name": name, "arguments": arguments})
    return text_reply(f"<tool_call>\n{call}\n</tool_call>")


def _edit(new: str) -> ScriptedReply:
    return _call("bash", command=f"sed -i 's/a - b/{new}/' calc.py; cat calc.py")


_SUBMIT = _call("submit", message="done")


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "grace@example.org")
    try:
        find_bubblewrap()
    except SandboxUnavailableError as error:
        pytest.skip(f"no bubblewrap here: {error.message}; {error.hint}")


@asynccontextmanager
async def _begun(
    repo: Repo, replies: Sequence[ScriptedReply], *arguments: str
) -> AsyncGenerator[Process]:
    """The command at work, with a server that plays the replies to whoever asks."""
    models = json_reply({"data": [{"id": "scripted", "max_model_len": 32768}]})
    paths = {"/v1/models": models, "/v1/chat/completions": list(replies)}
    async with ScriptedServer(paths) as server:
        fixed = ["--issue", "add() subtracts", "--endpoint", server.base_url, "--model", "scripted"]
        command = ["-m", "rnj_agent.agent.cli", "fix", *fixed, "--sandbox", "bubblewrap"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *arguments,
            cwd=repo.root,
            env=os.environ,
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_the_best_patch_is_on_stdout_and_applied(make_repo: MakeRepo) -> None:
    repo = make_repo(_FILES)
    arguments = ("--attempts", "2", "--test-cmd", "python3 check_calc.py", "--apply", "--json")
    replies = [_edit("a + b"), _edit("a + b"), _SUBMIT]
    async with _begun(repo, replies, *arguments) as process:
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert (repo.root / "calc.py").read_text() == "def add(a, b):\n    return a + b\n"
    events = [json.loads(line) for line in out.decode().splitlines()]
    assert {event["attempt"] for event in events} <= {1, 2}
    assert events[-1]["kind"] == "notice"
    assert events[-1]["text"].endswith(
        f"attempt {events[-1]['attempt']} of 2 is taken: it passes the tests"
    )
    assert "test (after): passed" in err.decode()
    assert "is taken: it passes the tests" in err.decode()


async def test_ctrl_c_reports_the_best_so_far(make_repo: MakeRepo) -> None:
    replies = [_edit("a * 2"), _STALLED]
    async with _begun(make_repo(_FILES), replies, "--attempts", "2", "--commit") as process:
        assert process.stderr is not None
        while b"exit 0" not in (line := await process.stderr.readline()):
            assert line, "it ended by itself"
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130, err.decode()
    assert b"+    return a * 2" in out
    assert b"is taken: the only one with a patch" in err
    assert b"Not applied, since the fix is not done." in err
    ends = [session.finished for session in list_sessions()]
    assert {end and end.reason for end in ends} == {"interrupted"}


async def test_on_the_host_nobody_is_asked_by_several_at_once(make_repo: MakeRepo) -> None:
    arguments = ("--attempts", "2", "--sandbox", "host")
    async with _begun(make_repo(_FILES), [_SUBMIT], *arguments) as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"leave --attempts out" in err
