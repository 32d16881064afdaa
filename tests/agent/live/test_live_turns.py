"""Turns of one session: what the model sees, what the file holds, what a front end is told."""

from __future__ import annotations

from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from rnj_agent.agent.events import (
    CommandFinished,
    Event,
    MessageFinished,
    RunFinished,
    RunStarted,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
)
from rnj_agent.agent.history import history
from rnj_agent.agent.live.session import LiveSession
from rnj_agent.agent.messages import SystemMessage, UserMessage, to_wire
from rnj_agent.agent.scripted_model import ScriptedModel, says
from rnj_agent.agent.session import read_events, sessions_dir
from rnj_agent.runtime.chat_template import ChatTemplate
from rnj_agent.runtime.template_source import TemplateSource
from tests.agent.live.conftest import OpenSession, past
from tests.agent.live.memory_sandbox import MemorySandbox
from tests.agent.loop_runs import bash, of_kind


async def seen(session: LiveSession, kind: type[Event], *, past: bool = True) -> None:
    """Wait for the first event of a kind, or for the next one."""
    async with aclosing(session.events(past=past)) as events:
        async for event in events:
            if isinstance(event, kind):
                return


def saved(session: LiveSession) -> list[Event]:
    return list(read_events(sessions_dir() / session.status.session_id))


async def test_a_second_turn_goes_on_with_the_first_ones_history(open_session: OpenSession):
    model = ScriptedModel([bash("put b 1"), "Done.", "It holds 1."])
    async with open_session(model) as session:
        session.send("make b")
        await session.idle()
        session.send("what is in b?")
        await session.idle()
        assert session.status.phase == "ready"

    first, second, third = (request.messages for request in model.requests)
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    assert [message.role for message in third] == [
        *("system", "user", "assistant", "tool", "assistant", "user")
    ]
    assert third[-1] == UserMessage(content="what is in b?")
    events = saved(session)
    assert [event.task for event in of_kind(events, RunStarted)] == ["make b", "what is in b?"]
    assert [event.step for event in of_kind(events, StepStarted)] == [1, 2, 3]
    systems = [
        event
        for event in of_kind(events, MessageFinished)
        if isinstance(event.message, SystemMessage)
    ]
    assert len(systems) == 1
    assert await past(session) == events


async def test_the_first_message_shows_the_source_that_it_names(open_session: OpenSession):
    model = ScriptedModel(["It prints a.", "Yes."])
    async with open_session(model) as session:
        for said in ("what does a.py do?", "is a.py short?"):
            session.send(said)
            await session.idle()
    first, second = (request.messages[-1].content for request in model.requests)
    assert "<file path=\"a.py\">\nprint('a')\n</file>\n\nwhat does a.py do?" in first
    assert second == "is a.py short?"
    assert of_kind(saved(session), RunStarted)[0].task == "what does a.py do?"


async def test_what_is_said_meanwhile_joins_at_the_next_step(open_session: OpenSession):
    model = ScriptedModel([says(bash("put b 1"), delay_s=0.01), "Done."])
    async with open_session(model) as session:
        session.send("make b")
        await seen(session, RunStarted)
        session.send("and be brief")
        assert session.status.queued == ("and be brief",)
        await session.idle()
    assert model.requests[1].messages[-1] == UserMessage(content="and be brief")
    assert len(of_kind(saved(session), RunStarted)) == 1


async def test_what_is_said_too_late_is_the_next_turn(open_session: OpenSession):
    model = ScriptedModel([says("Done.", delay_s=0.02), "Again."])
    async with open_session(model) as session:
        session.send("one")
        await seen(session, RunStarted)
        session.send("two")
        await session.idle()
    assert [event.task for event in of_kind(saved(session), RunStarted)] == ["one", "two"]


async def test_an_interrupted_command_is_answered_and_the_next_turn_goes_on(
    open_session: OpenSession,
):
    sandbox = MemorySandbox()
    model = ScriptedModel([bash("wait"), "Fine."])
    async with open_session(model, sandbox) as session:
        session.send("wait")
        await seen(session, ToolCallStarted)
        session.send("never mind")
        session.interrupt()
        await session.idle()
        assert session.status.queued == ("never mind",)
        assert sandbox.cancelled
        assert session.unqueue() == ("never mind",)
        session.send("go on")
        await session.idle()
    events = saved(session)
    assert [event.reason for event in of_kind(events, RunFinished)] == ["interrupted", "answered"]
    (call,) = of_kind(events, ToolCallFinished)
    assert "interrupted" in call.content
    assert [message.role for message in model.requests[1].messages][-3:] == [
        *("assistant", "tool", "user")
    ]


async def test_an_interrupted_reply_leaves_a_history_that_can_go_on(open_session: OpenSession):
    model = ScriptedModel([says("slow " * 100, delay_s=0.01), "Fine."])
    async with open_session(model) as session:
        session.send("one")
        await seen(session, TextDelta)
        session.interrupt()
        await session.idle()
        session.send("two")
        await session.idle()
    assert model.num_closed_early == 1
    request = model.requests[1].messages
    assert [message.role for message in request] == ["system", "user", "assistant", "user"]
    assert request[2].content.startswith("slow")
    assert request[2].content.endswith("\n\n[interrupted before it finished]")
    assert history(saved(session))[:4] == list(request)
    assert history(saved(session))[-1].content == "Fine."


async def test_an_interruption_before_the_first_step_is_not_lost(open_session: OpenSession):
    model = ScriptedModel(["Fine."])
    async with open_session(model) as session:
        await session.idle()
        session.send("one")
        await seen(session, RunStarted)
        session.interrupt()
        await session.idle()
    (finished,) = of_kind(saved(session), RunFinished)
    assert finished.reason == "interrupted"


async def test_the_model_reads_of_the_persons_commands(open_session: OpenSession):
    model = ScriptedModel(["I see."])
    sandbox = MemorySandbox()
    async with open_session(model, sandbox) as session:
        session.run_command("put c 3")
        await session.idle()
        assert sandbox.work["c"] == "3"
        session.send("what did I do?")
        await session.idle()
    told = [message.content for message in model.requests[0].messages]
    assert any("$ put c 3" in content for content in told)
    assert of_kind(saved(session), CommandFinished)[0].exit_code == 0


async def test_nothing_said_leaves_nothing_behind(open_session: OpenSession):
    async with open_session(["never"]) as session:
        await session.idle()
    assert not sessions_dir().exists()
    assert session.status.phase == "closed"


@pytest.mark.parametrize(
    "control_tokens",
    [
        ("<|im_start|>", "<|im_end|>"),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ],
    ids=["ChatML", "Rnj-1"],
)
async def test_each_prompt_begins_with_the_bytes_of_the_one_before(
    open_session: OpenSession, control_tokens: tuple[str, ...]
):
    turns = [bash("put b 1"), "Done.", says(bash("put b 2"), delay_s=0.01), "Yes.", "No."]
    model = ScriptedModel(turns)
    async with open_session(model) as session:
        session.run_command("put c 3")
        session.send("make b")
        await session.idle()
        session.send("again")
        await seen(session, TextDelta, past=False)
        session.send("and be brief")
        session.run_command("put d 4")
        await session.idle()
        session.mode = "plan"
        session.send("what now?")
        await session.idle()
    source = TemplateSource(templates={}, control_tokens=control_tokens, variables={})
    template = ChatTemplate(source)
    prompts = [
        str(template.render(list(map(to_wire, request.messages)), tools=request.tools))
        for request in model.requests
    ]
    assert len(prompts) == 5
    for before, after in pairwise(prompts):
        assert after.startswith(before)


async def test_the_repository_tells_the_session_once_and_for_all(
    open_session: OpenSession, repo: Path
) -> None:
    """Changed, resumed or all undone: the system prompt stays as it was."""
    (repo / "AGENTS.md").write_text("Use tabs.\n")
    model, sandbox = ScriptedModel(["Yes.", "Again.", "Still."]), MemorySandbox()
    async with open_session(model, sandbox) as session:
        session.send("hi")
        await session.idle()
        assert str(session.status.agents) == "AGENTS.md: 1 line"
        (repo / "AGENTS.md").write_text("Use spaces.\n")
        await session.undo(1)
        session.send("once more")
        await session.idle()
        name = session.status.session_id
    async with open_session(model, sandbox, resume=name) as session:
        session.send("and now")
        await session.idle()
        assert session.status.agents is not None
        assert session.status.agents.text == "Use tabs."
    prompts = {request.messages[0].content for request in model.requests}
    assert len(prompts) == 1
    assert "<agents_md>\nUse tabs.\n</agents_md>" in prompts.pop()
