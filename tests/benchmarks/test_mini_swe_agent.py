"""The rival of the resolve bench: what its trajectories tell, and a session where it is there."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.resolve.mini_swe_agent import MiniSweAgent
from benchmarks.resolve.mini_trajectory import read_trajectory, tally_of
from benchmarks.resolve.outcome import Server
from benchmarks.resolve.tasks import Task
from rnj_agent.agent.scripted_server import ScriptedReply, ScriptedServer, json_reply
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxUnavailableError

PYTHON = os.environ.get("RNJ_MINI_PYTHON", "")
needs_mini = pytest.mark.skipif(
    not PYTHON or not shutil.which("docker"),
    reason="needs the docker program, and RNJ_MINI_PYTHON: a Python with mini-swe-agent 2.4.6",
)
FIX = "sed -i 's/a - b/a + b/' sums.py && sed -n 1,9p sums.py"
CHANGE = "-    return a - b\n+    return a + b\n"
PATH = "/v1/chat/completions"
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


def message(extra: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "extra": extra}


def response(prompt: int, completion: int, cached: int | None = None) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    usage["prompt_tokens_details"] = None if cached is None else {"cached_tokens": cached}
    return {"response": {"usage": usage}}


def test_rejected_replies_count_as_well() -> None:
    rejected = {"interrupt_type": "FormatError", **response(30, 5, 20)}
    tally = tally_of(
        {
            "info": {"exit_status": "Submitted", "model_stats": {"api_calls": 2}},
            "messages": [
                {"role": "system", "content": ""},
                message(response(10, 2)),
                message(rejected),
                {"role": "exit", "extra": {"exit_status": "Submitted"}},
            ],
        }
    )
    assert (tally.ending, tally.num_steps, tally.num_format_errors) == ("Submitted", 2, 1)
    assert tally.num_prompt_tokens == 40
    assert tally.num_cached_tokens == 20
    assert tally.num_completion_tokens == 7
    assert tally.detail == ""


def test_an_exception_is_told() -> None:
    last = {"exit_status": "BadRequestError", "exception_str": "x" * 9000}
    tally = tally_of({"info": last, "messages": [message(last)]})
    assert tally.ending == "BadRequestError"
    assert tally.detail == "x" * 500


def test_a_reply_that_is_no_object_counts_nothing() -> None:
    assert tally_of({"messages": [message({"response": "<a reply>"})]}).num_prompt_tokens == 0


@pytest.mark.parametrize("text", [None, "", '{"info": {'])
def test_a_trajectory_may_be_missing(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "trajectory.json"
    if text is not None:
        path.write_text(text)
    tally = tally_of(read_trajectory(path))
    assert (tally.ending, tally.num_steps) == ("crashed", 0)


def says(command: str) -> ScriptedReply:
    text = f"THOUGHT: as said.\n\n```mswea_bash_command\n{command}\n```"
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    about = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted"}
    return json_reply({**about, "choices": [choice], "usage": usage})


TASK = Task(
    id="sums",
    split="dev",
    files={"sums.py": "def add(a, b):\n    return a - b\n"},
    issue="add() subtracts",
    test_command="python3 -c 'from sums import add; assert add(1, 2) == 3'",
    tests={},
)


@pytest.fixture(autouse=True)
def engine_is_ready(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("docker") is None:
        return
    try:
        connect().close()
    except SandboxUnavailableError as exc:
        pytest.skip(f"{exc.message}; {exc.hint}")


def scripted_by(*commands: str) -> ScriptedServer:
    return ScriptedServer({PATH: [says(command) for command in commands]})


def rival_on(scripted: ScriptedServer, python: str, *, max_steps: int = 5) -> MiniSweAgent:
    server = Server(base_url=scripted.base_url, api_key="secret", model="scripted", seed=7)
    return MiniSweAgent(server, python=Path(python), max_steps=max_steps)


@needs_mini
@pytest.mark.docker
async def test_it_works_in_our_sandbox(tmp_path: Path) -> None:
    async with scripted_by(FIX, SUBMIT) as scripted:
        outcome = await rival_on(scripted, PYTHON).solve(TASK, tmp_path)
    first, second = scripted.bodies(PATH)
    assert (first["seed"], first["temperature"], first["model"]) == (7, 0.0, "scripted")
    assert scripted.requests[0].headers["authorization"] == "Bearer secret"
    assert TASK.test_command in first["messages"][-1]["content"]
    assert "return a + b" in second["messages"][-1]["content"]
    assert CHANGE in outcome.patch
    assert (outcome.ending, outcome.num_steps) == ("Submitted", 2)
    assert (outcome.num_prompt_tokens, outcome.num_completion_tokens) == (200, 20)
    assert "secret" not in (tmp_path / "trajectory.json").read_text()


@needs_mini
@pytest.mark.docker
async def test_what_it_did_counts_without_a_submission(tmp_path: Path) -> None:
    async with scripted_by(FIX) as scripted:
        outcome = await rival_on(scripted, PYTHON, max_steps=1).solve(TASK, tmp_path)
    assert outcome.ending == "LimitsExceeded"
    assert CHANGE in outcome.patch


@pytest.mark.docker
async def test_a_python_without_it_is_told(tmp_path: Path) -> None:
    async with scripted_by(SUBMIT) as scripted:
        with pytest.raises(RuntimeError, match="does not start"):
            await rival_on(scripted, sys.executable).solve(TASK, tmp_path)
    assert "No module named 'minisweagent'" in (tmp_path / "log").read_text()
