"""Calls that cannot be run: they stay in the history, and are answered in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rnj_agent.agent import feedback
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.messages import Message, ToolCall, to_wire
from rnj_agent.agent.model import ToolCallChunk
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn
from rnj_agent.sandbox.fake import FakeSandbox
from tests.agent.loop_runs import SUBMIT, ScriptedWorkspace, bash, make_loop, run

FENCED = '```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```'
SENTINEL = "THOUGHT: done\n\n```bash\necho COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n```"


def native(name: str, arguments: str) -> ScriptedTurn:
    call = ToolCall(id="theirs", name=name, arguments=arguments)
    return ScriptedTurn(chunks=(ToolCallChunk(call=call),), finish_reason="tool_calls")


async def told(model: ScriptedModel, **parts: Any) -> tuple[list[Message], FakeSandbox]:
    """What the model is sent last, and where its commands were run."""
    sandbox = FakeSandbox()
    await run(make_loop(model, sandbox=sandbox, **parts))
    return list(model.requests[-1].messages), sandbox


def contents(messages: list[Message]) -> list[str]:
    return [message.content for message in messages[2:]]


async def test_what_is_not_to_be_repaired_is_answered_and_stays() -> None:
    model = ScriptedModel([f"I look. {FENCED}", SUBMIT])
    messages, sandbox = await told(model, harness=Harness(repair_calls=False))
    said, answer = contents(messages)
    assert said == f"I look. {FENCED}".removesuffix("\n```")
    assert "in a fence" in answer
    assert not sandbox.commands


async def test_the_form_that_was_asked_for_needs_no_repair() -> None:
    model = ScriptedModel([bash("ls"), SUBMIT])
    _, sandbox = await told(model, harness=Harness(repair_calls=False))
    assert [each.command for each in sandbox.commands] == ["ls"]


async def test_a_block_without_its_end_is_read_only_where_calls_are_repaired() -> None:
    for repairs in (True, False):
        model = ScriptedModel(["THOUGHT: x\n\n```bash\nls", SENTINEL, SENTINEL], repeat_last=True)
        harness = Harness(repair_calls=repairs)
        _, sandbox = await told(model, harness=harness, protocol="text")
        assert ("ls" in [each.command for each in sandbox.commands]) == repairs


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bash", '{"command": "ls'),
        ("", "{}"),
        ("bash", '{"command": ' + "x" * 9000),
    ],
)
async def test_a_native_call_that_cannot_be_read_stays_as_text(name: str, arguments: str) -> None:
    model = ScriptedModel([native(name, arguments), SUBMIT])
    messages, sandbox = await told(model)
    said, answer = contents(messages)
    assert said.startswith("<tool_call>\n")
    assert arguments[:1000] in said
    assert len(said) < 2200
    assert "Your call could not be run" in answer
    assert not sandbox.commands
    assert "tool_calls" not in to_wire(messages[2])


@pytest.mark.parametrize(
    "arguments", ['{"command": "ls"}', "{'command': 'ls'}", "ls", '{"command": "ls",}']
)
async def test_every_call_in_the_history_has_arguments_that_parse(arguments: str) -> None:
    model = ScriptedModel([native("bash", arguments), SUBMIT])
    messages, sandbox = await told(model)
    (call,) = to_wire(messages[2])["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"command": "ls"}
    assert [each.command for each in sandbox.commands] == ["ls"]


def test_answers_are_one_line_that_nobody_can_take_for_a_call() -> None:
    signatures = {"bash": ["command"], "edit": ["path", "old", "new"], "submit": ["message"]}
    lines = [
        feedback.no_tool_call(signatures, empty=False),
        feedback.no_tool_call({"bash": ["command"]}, empty=True),
        feedback.no_bash_block(empty=False),
        feedback.broken_call("its JSON could not be read"),
        feedback.cut_reply(2048),
        feedback.unknown_tool("find", signatures),
    ]
    assert lines[0].endswith(
        "Call exactly one tool: bash with command, edit with path, old and new or submit with "
        "message."
    )
    for line in lines:
        assert "\n" not in line
        assert len(line) < 160
        assert not set("`<>{}[]") & set(line)


async def test_arguments_that_are_missing_are_named_in_the_calls_result() -> None:
    wrong = native("edit", '{"path": "a.py"}')
    messages, _ = await told(ScriptedModel([wrong, SUBMIT]))
    assert messages[3].role == "tool"
    assert messages[3].content == (
        "edit: wrong arguments: new: Field required. A right call has path, old and new."
    )


@pytest.mark.parametrize(
    ("protocol", "guided", "needs_patch", "form"),
    [
        ("tools", True, True, "call"),
        ("tools", True, False, None),
        ("tools", False, True, "free"),
        ("text", True, True, "bash_block"),
        ("text", True, False, None),
        ("text", False, True, None),
    ],
)
async def test_the_form_that_replies_are_held_to(
    protocol: str, guided: bool, needs_patch: bool, form: str | None
) -> None:
    model = ScriptedModel([SUBMIT if protocol == "tools" else SENTINEL], repeat_last=True)
    await told(
        model,
        protocol=protocol,
        harness=Harness(guided_calls=guided),
        workspace=ScriptedWorkspace(needs_patch=needs_patch),
    )
    assert model.requests[0].reply_form == form
