"""``rnj-agent sessions resume --message``: one more turn, headless, files and all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnj_agent.agent.scripted_server import ScriptedServer, error_reply, text_reply
from tests.agent.cli.test_run_command import (
    CHAT,
    bash_reply,
    needs_bubblewrap,
    repository,
    rnj_agent,
    serving,
)

__all__ = ["needs_bubblewrap", "repository"]


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("needs_bubblewrap")
async def test_a_session_goes_on_with_a_message_and_prints_answer_and_patch(
    repository: Path,
) -> None:
    async with serving(text_reply("It prints hello.")) as server:
        begun = await rnj_agent(server, repository, "run", "what is this?")
    assert begun.code == 0, begun.stderr
    replies = (bash_reply("echo 'x = 1' > more.py"), text_reply("There is more now."))
    async with serving(*replies) as server:
        more = ("sessions", "resume", "last", "--message", "add more")
        done = await rnj_agent(server, repository, *more)
        assert done.code == 0, done.stderr
        assert done.stdout.startswith("There is more now.\ndiff --git a/more.py b/more.py")
        said = [message["content"] for message in server.bodies(CHAT)[0]["messages"]]
    assert said[-2:] == ["It prints hello.", "add more"]
    assert not (repository / "more.py").exists()


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("needs_bubblewrap")
async def test_what_goes_wrong_at_the_start_is_said_once(repository: Path) -> None:
    async with serving(text_reply("It prints hello.")) as server:
        begun = await rnj_agent(server, repository, "run", "what is this?")
    assert begun.code == 0, begun.stderr
    async with ScriptedServer({"/v1/models": error_reply(401, "who are you?")}) as server:
        done = await rnj_agent(server, repository, "sessions", "resume", "--message", "go on")
    assert (done.stdout, done.stderr.count("error: ")) == ("", 1), done.stderr
    message = done.stderr.partition("error: ")[2].partition("\n")[0]
    assert done.stderr.count(message) == 1, done.stderr


def test_without_a_message_it_needs_a_terminal(repository: Path) -> None:
    state = repository.parent / "state" / "sessions" / "20260101-101500-abcdef"
    state.mkdir(parents=True)
    (state / "events.jsonl").write_text(json.dumps({"kind": "step_started"}) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "rnj_agent.agent.cli", "sessions", "resume"],
        env={**os.environ, "RNJ_STATE": str(repository.parent / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the app needs a terminal" in done.stderr
    assert 'next: rnj-agent sessions resume --message "…"' in done.stderr
