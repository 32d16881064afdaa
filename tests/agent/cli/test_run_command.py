"""``rnj-agent run`` as a process, with a scripted model server and a real sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rnj_agent.agent.scripted_server import (
    SSE_END,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    error_reply,
    json_reply,
    stream_reply,
    text_reply,
    usage_event,
)
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.errors import SandboxUnavailableError

CHAT = "/v1/chat/completions"


def bash_reply(command: str) -> ScriptedReply:
    arguments = json.dumps({"command": command})
    call = {"index": 0, "id": "c1", "function": {"name": "bash", "arguments": arguments}}
    return stream_reply(
        delta_event(content="I look. "),
        delta_event(tool_calls=[call]),
        delta_event("tool_calls"),
        usage_event(100, 20, cached=60),
        SSE_END,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "cli.py").write_text("print('hello')\n")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


@pytest.fixture
def needs_bubblewrap() -> None:
    try:
        find_bubblewrap()
    except SandboxUnavailableError as exc:
        pytest.skip(f"no bubblewrap here: {exc.message}; {exc.hint}")


class Outcome:
    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr


async def rnj_agent(
    server: ScriptedServer,
    repository: Path,
    *arguments: str,
    interrupt_when: str = "",
    sandbox: str = "bubblewrap",
) -> Outcome:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RNJ_")},
        "RNJ_STATE": str(repository.parent / "state"),
        "RNJ_HOME": str(repository.parent / "home"),
        "RNJ_ENDPOINT": server.base_url,
        "RNJ_SANDBOX": sandbox,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rnj_agent.agent.cli",
        *arguments,
        cwd=repository,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    seen = b""
    while interrupt_when and interrupt_when not in seen.decode():
        line = await process.stderr.readline()
        assert line, seen.decode()
        seen += line
    if interrupt_when:
        process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, stdout.decode(), (seen + stderr).decode())


def serving(*replies: ScriptedReply) -> ScriptedServer:
    models = json_reply({"data": [{"id": "m", "max_model_len": 16384}]})
    return ScriptedServer({"/v1/models": models, CHAT: replies})


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("needs_bubblewrap")
async def test_a_question_is_answered_on_stdout(repository: Path) -> None:
    async with serving(bash_reply("cat cli.py"), text_reply("It prints hello.")) as server:
        done = await rnj_agent(server, repository, "run", "what does cli.py do?")
    assert (done.code, done.stdout) == (0, "It prints hello.\n"), done.stderr
    assert "$ cat cli.py" in done.stderr
    assert "print('hello')" in done.stderr
    assert "60 cached" in done.stderr


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("needs_bubblewrap")
async def test_a_change_comes_out_as_a_patch_and_stays_in_the_session(repository: Path) -> None:
    change = "sed -i s/hello/bye/ cli.py"
    async with serving(bash_reply(change), text_reply("Changed.")) as server:
        done = await rnj_agent(server, repository, "run", "-")
        assert done.code == 2, "nothing on standard input"
        done = await rnj_agent(server, repository, "run", "say bye")
        shown = await rnj_agent(server, repository, "sessions", "show", "last", "--patch")
        listed = await rnj_agent(server, repository, "sessions", "list")
    assert done.code == 0, done.stderr
    answer, _, patch = done.stdout.partition("\n")
    assert answer == "Changed."
    assert "-print('hello')\n+print('bye')\n" in patch
    assert shown.stdout == patch
    assert listed.stdout.splitlines()[0].endswith("say bye")
    assert (repository / "cli.py").read_text() == "print('hello')\n"


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("needs_bubblewrap")
async def test_json_puts_every_event_on_stdout(repository: Path) -> None:
    async with serving(text_reply("Hello.")) as server:
        done = await rnj_agent(server, repository, "run", "--json", "greet")
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")
    assert done.code == 0


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("needs_bubblewrap")
async def test_ctrl_c_is_130_and_the_session_is_whole(repository: Path) -> None:
    async with serving(bash_reply("echo ready; sleep 60")) as server:
        done = await rnj_agent(server, repository, "run", "wait", interrupt_when="  ready")
        shown = await rnj_agent(server, repository, "sessions", "show", "--json")
    assert done.code == 130, done.stderr
    assert "Traceback" not in done.stderr
    last = json.loads(shown.stdout.splitlines()[-1])
    assert (last["kind"], last["reason"]) == ("run_finished", "interrupted")


async def test_a_server_that_refuses_is_5_before_anything_is_made(repository: Path) -> None:
    async with ScriptedServer({"/v1/models": error_reply(401, "who are you?")}) as server:
        done = await rnj_agent(server, repository, "run", "x", sandbox="auto")
    assert done.code in {4, 5}
    assert "next: " in done.stderr


async def test_no_repository_is_2(repository: Path) -> None:
    async with serving(text_reply("x")) as server:
        done = await rnj_agent(server, repository, "run", "-C", "/nowhere", "x")
    assert done.code == 2
    assert "/nowhere" in done.stderr


async def test_the_host_needs_a_terminal_or_a_yes(repository: Path) -> None:
    async with serving(text_reply("fine")) as server:
        refused = await rnj_agent(server, repository, "run", "x", sandbox="host")
        allowed = await rnj_agent(server, repository, "run", "--yes", "x", sandbox="host")
    assert refused.code == 2
    assert "add --yes" in refused.stderr
    assert (allowed.code, allowed.stdout) == (0, "fine\n"), allowed.stderr
    assert "commands run as you" in allowed.stderr
