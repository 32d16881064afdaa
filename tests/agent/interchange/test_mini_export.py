"""Sessions as mini-SWE-agent's trajectories: what they hold, back again, and in their inspector."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    Event,
    MessageFinished,
    Protocol,
    Rewound,
    RunFinished,
    RunStarted,
    UsageUpdated,
)
from rnj_agent.agent.export import export_session
from rnj_agent.agent.history import history
from rnj_agent.agent.interchange.mini_export import to_mini
from rnj_agent.agent.interchange.mini_import import from_mini
from rnj_agent.agent.interchange.mini_record import parse_trajectory
from rnj_agent.agent.loop import AgentLoop
from rnj_agent.agent.messages import AssistantMessage, UserMessage
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.session import SessionWriter
from rnj_agent.agent.session_list import summarise
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from rnj_agent.tools.toolset import toolset
from tests.agent.interchange.mini_trajectories import FORMS
from tests.agent.loop_runs import ScriptedWorkspace, bash, call_text, make_task

INSPECTOR = shutil.which("mini-extra")
PATCH = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
DONE = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
TURNS = {
    "tools": [f"I look {bash('ls')}", "hm", call_text("edit", path="x"), bash(DONE)],
    "text": ["THOUGHT: x\n```bash\nls\n```", "hm", f"```bash\n{DONE}\n```"],
}


async def run_of(protocol: Protocol) -> list[Event]:
    """A session with a call, a reply without one, and a submission."""
    replies = (
        FakeReply(pattern="COMPLETE_TASK", output=DONE.removeprefix("echo ") + "\n"),
        FakeReply(pattern="ls", output="a\nb\n", exit_code=1),
    )
    loop = AgentLoop(
        model=ScriptedModel(TURNS[protocol]),
        tools=toolset(),
        sandbox=FakeSandbox(replies),
        workspace=ScriptedWorkspace(patch=PATCH),
        protocol=protocol,
    )
    return [event async for event in loop.run(make_task())]


def exported(events: list[Event]) -> dict[str, Any]:
    return json.loads(to_mini(events))


@pytest.mark.parametrize("protocol", ["tools", "text"])
async def test_what_a_session_holds_comes_back(protocol: Protocol):
    events = await run_of(protocol)
    trajectory = parse_trajectory(to_mini(events).encode())
    assert trajectory.instance_id is None
    again = list(from_mini(trajectory, "1"))
    assert history(again) == history(events)
    first, second = events[-1], again[-1]
    assert isinstance(first, RunFinished)
    assert isinstance(second, RunFinished)
    assert (second.patch, second.reason, second.num_steps) == (PATCH, "submitted", first.num_steps)
    assert to_mini(again)  # and out once more


async def test_their_readers_find_what_they_look_for():
    events = await run_of("tools")
    told = exported(events)
    assert told["trajectory_format"] == "mini-swe-agent-1.1"
    assert told["info"]["exit_status"] == "Submitted"
    assert told["info"]["submission"] == PATCH
    assert told["info"]["model_stats"] == {"instance_cost": 0.0, "api_calls": 4}
    assert told["info"]["config"]["model"]["model_name"] == "scripted"
    messages = told["messages"]
    assert [message["role"] for message in messages][:5] == [
        "system", "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert messages[2]["extra"]["actions"] == [
        {"command": "ls", "tool_call_id": messages[2]["tool_calls"][0]["id"]}
    ]
    assert messages[3]["extra"]["raw_output"] == "a\nb\n"
    assert messages[3]["extra"]["returncode"] == 1
    assert messages[3]["tool_call_id"] == messages[2]["tool_calls"][0]["id"]
    usage = next(event for event in events if isinstance(event, UsageUpdated))
    assert messages[2]["extra"]["response"]["usage"]["prompt_tokens"] == usage.num_prompt_tokens
    assert messages[-1]["role"] == "exit"
    assert messages[-1]["extra"]["submission"] == PATCH
    stamps = [message["extra"]["timestamp"] for message in messages]
    assert stamps == sorted(stamps)


async def test_an_attempt_of_a_run_names_its_instance():
    started, *rest = await run_of("text")
    assert isinstance(started, RunStarted)
    attempt = replace(started, session_id="0a1b2c/owner__name-1/1")
    assert exported([attempt, *rest])["instance_id"] == "owner__name-1"


async def test_what_is_no_command_is_no_action():
    """Their readers would run it."""
    messages = exported(await run_of("tools"))["messages"]
    (edit,) = [
        message
        for message in messages
        if message.get("tool_calls") and message["tool_calls"][0]["function"]["name"] == "edit"
    ]
    assert edit["extra"]["actions"] == []


async def test_text_results_are_user_messages_beside_their_command():
    messages = exported(await run_of("text"))["messages"]
    assert messages[2]["extra"]["actions"] == [{"command": "ls"}]
    assert "tool_calls" not in messages[2]
    assert (messages[3]["role"], messages[3]["extra"]["returncode"]) == ("user", 1)


async def test_what_was_undone_and_what_has_no_end():
    events = await run_of("tools")
    undone = Rewound(step=2, num_messages=4, snapshot="s", patch="")
    told = exported([*events[:-1], undone])
    assert [message["role"] for message in told["messages"]] == [
        "system", "user", "assistant", "tool",
    ]  # fmt: skip
    assert (told["info"]["exit_status"], told["info"]["submission"]) == ("", "")


async def test_a_persons_command_and_thoughts():
    thought = AssistantMessage(content="it is", reasoning="I think")
    events = [
        *(await run_of("tools"))[:3],
        CommandStarted(command_id="u1", command="ls"),
        CommandFinished(command_id="u1", content="I ran ls: a", exit_code=0, duration_s=1.0),
        MessageFinished(message=UserMessage(content="is it?")),
        MessageFinished(message=thought),
    ]
    told = exported(events)["messages"][-3:]
    assert [message["content"] for message in told] == ["I ran ls: a", "is it?", "it is"]
    assert told[0]["extra"]["returncode"] == 0
    assert told[2]["reasoning_content"] == "I think"


@pytest.mark.parametrize("form", FORMS)
def test_their_trajectories_survive_the_way_through_ours(form: str):
    """Message by message, but for the answer that a submission gets here and not there."""
    value = FORMS[form]()
    theirs = parse_trajectory(json.dumps(value).encode())
    ours = parse_trajectory(to_mini(from_mini(theirs, "1")).encode())
    expected = [(m.role, m.content) for m in theirs.messages if m.role != "exit"]
    told = [(m.role, m.content) for m in ours.messages if m.role != "exit"]
    assert [pair for pair in told if pair[1] != "Submitted."] == expected
    assert ours.info.exit_status == theirs.info.exit_status
    assert ours.info.submission == theirs.info.submission


def inspected(file: Path) -> list[str]:
    """What their inspector shows, page by page."""
    assert INSPECTOR is not None
    script = Path(__file__).with_name("mini_inspector_pages.py")
    quiet = {"MSWEA_SILENT_STARTUP": "1", "MSWEA_GLOBAL_CONFIG_DIR": str(file.parent)}
    shown = subprocess.run(
        [Path(INSPECTOR).with_name("python"), script, file],
        env={**os.environ, **quiet},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return json.loads(shown.stdout)


@pytest.mark.skipif(
    INSPECTOR is None,
    reason="mini-SWE-agent is not here: pip install mini-swe-agent==2.4.6 into an environment of "
    "its own, and put that one's bin folder at the end of PATH",
)
@pytest.mark.parametrize("protocol", ["tools", "text"])
async def test_their_inspector_shows_it(protocol: Protocol, tmp_path: Path):
    writer = SessionWriter.create("1", tmp_path)
    for event in await run_of(protocol):
        writer.write(event)
    writer.close()
    file = tmp_path / "x.traj.json"
    file.write_bytes(export_session(summarise(tmp_path / "1"), "mini-swe-agent"))
    pages = inspected(file)
    assert len(pages) == len(TURNS[protocol]) + 1  # the page before the first reply
    assert "SYSTEM" in pages[0]
    assert "```\nls\n```" in pages[1].replace("```bash", "```")
    assert "a\nb" in pages[1]
    assert PATCH in pages[-1]
