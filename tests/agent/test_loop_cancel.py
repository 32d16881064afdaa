from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from rnj_agent.agent.events import (
    Event,
    RunFinished,
    StepFinished,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.loop import AgentLoop
from rnj_agent.agent.scripted_model import ScriptedModel, says
from rnj_agent.agent.session import SessionWriter, read_events
from rnj_agent.agent.workspace import Emit, Review
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import (
    SUBMIT,
    ScriptedWorkspace,
    bash,
    check_invariants,
    finish,
    make_loop,
    make_task,
    of_kind,
)

SLOW = says("I will look. " * 50, delay_s=0.01)


def slow_command() -> FakeSandbox:
    return FakeSandbox(default=FakeReply(pattern="", delay_s=30))


async def interrupted_at(loop: AgentLoop, kind: type[Event]) -> list[Event]:
    """Run until an event of this kind, then interrupt and hear the rest."""
    events: list[Event] = []
    async for event in loop.run(make_task()):
        events.append(event)
        if isinstance(event, kind):
            loop.interrupt()
    check_invariants(events)
    return events


async def test_interrupting_a_reply_closes_the_stream():
    model = ScriptedModel([SLOW])
    events = await interrupted_at(make_loop(model), TextDelta)
    assert finish(events).reason == "interrupted"
    assert finish(events).patch
    assert model.num_closed_early == 1
    assert len(of_kind(events, StepFinished)) == 1


async def test_interrupting_a_command_kills_it_and_says_so():
    sandbox = slow_command()
    events = await interrupted_at(make_loop([bash("sleep 30")], sandbox=sandbox), ToolCallStarted)
    assert finish(events).reason == "interrupted"
    assert sandbox.cancelled == ["sleep 30"]
    assert of_kind(events, ToolCallFinished)[0].content == "interrupted before it finished"


async def test_cancelling_the_consumer_still_yields_the_rest_then_raises():
    events: list[Event] = []
    running = asyncio.Event()

    async def consume() -> None:
        async for event in make_loop([bash("x")], sandbox=slow_command()).run(make_task()):
            events.append(event)
            if isinstance(event, ToolCallStarted):
                running.set()

    consumer = asyncio.create_task(consume())
    await running.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    check_invariants(events)
    assert finish(events).reason == "interrupted"


async def test_closing_the_iterator_early_records_the_end(tmp_path: Path):
    sandbox = slow_command()
    loop = make_loop(
        [bash("sleep 30")], sandbox=sandbox, recorder=SessionWriter.create("x", tmp_path)
    )
    async with aclosing(loop.run(make_task())) as stream:
        async for event in stream:
            if isinstance(event, ToolCallStarted):
                break
    recorded = list(read_events(tmp_path / "x"))
    check_invariants(recorded)
    assert finish(recorded).reason == "interrupted"
    assert sandbox.cancelled == ["sleep 30"]


async def test_a_consumer_that_stops_taking_stops_the_run():
    sandbox = FakeSandbox()
    loop = make_loop([bash(f"echo {number}") for number in range(9)], sandbox=sandbox)
    stream = loop.run(make_task())
    async for event in stream:
        if isinstance(event, StepFinished):
            break
    await asyncio.sleep(0.05)
    assert len(sandbox.commands) == 1
    await stream.aclose()


class _StuckWorkspace(ScriptedWorkspace):
    async def collect(self) -> str:
        await asyncio.sleep(30)
        return ""

    async def review(self, emit: Emit) -> Review:
        emit(VerificationStarted(phase="after", command="pytest"))
        await asyncio.sleep(30)
        return Review(accepted=True)


async def test_interrupting_a_review_closes_it_and_a_second_time_gives_up_the_patch():
    loop = make_loop([SUBMIT], workspace=_StuckWorkspace())
    events: list[Event] = []
    async with asyncio.timeout(5):
        async for event in loop.run(make_task()):
            events.append(event)
            if isinstance(event, VerificationStarted | StepFinished):
                await asyncio.sleep(0.01)
                loop.interrupt()
    check_invariants(events)
    assert finish(events).reason == "interrupted"
    assert not of_kind(events, VerificationFinished)[0].passed


async def test_a_closing_event_loop_still_ends_the_run_in_order(tmp_path: Path):
    async def die_in_the_middle() -> None:
        loop = make_loop(
            [bash("x")], sandbox=slow_command(), recorder=SessionWriter.create("x", tmp_path)
        )
        async for event in loop.run(make_task()):
            if isinstance(event, ToolCallStarted):
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(asyncio.run, die_in_the_middle())
    recorded = list(read_events(tmp_path / "x"))
    check_invariants(recorded)
    assert isinstance(recorded[-1], RunFinished)
