"""Loops over shipped fakes, and what must hold of every run's events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rnj_agent.agent.events import (
    Event,
    RunFinished,
    RunStarted,
    StartedOver,
    StepFinished,
    StepStarted,
    ToolCallFinished,
    ToolCallStarted,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.loop import AgentLoop
from rnj_agent.agent.scripted_model import ScriptedModel, Turn
from rnj_agent.agent.task import Task
from rnj_agent.agent.workspace import Emit, Evidence, Review
from rnj_agent.sandbox.fake import FakeSandbox
from rnj_agent.tools.base import ToolResult
from rnj_agent.tools.toolset import toolset

T = TypeVar("T")
ACCEPTED = Review(accepted=True, verified=True)


@dataclass
class ScriptedWorkspace:
    """Reviews as told, then accepts; hands out a fixed patch."""

    reviews: list[Review] = field(default_factory=list[Review])
    patch: str = "--- a/x\n+++ b/x\n"
    events: tuple[Event, ...] = ()
    """Emitted during each review and each ``start_over``."""
    error: Exception | None = None
    """Raised by ``collect`` and by ``start_over``."""
    evidence: list[Evidence] = field(default_factory=list[Evidence])
    """What ``after_call`` says, call by call; then nothing."""
    tried: list[str] = field(default_factory=list[str])
    """What ``start_over`` says, time after time; then nothing."""
    num_started_over: int = 0
    num_reviews: int = 0
    num_collected: int = 0
    needs_patch: bool = True

    async def review(self, emit: Emit) -> Review:
        self.num_reviews += 1
        for event in self.events:
            emit(event)
        return self.reviews.pop(0) if self.reviews else ACCEPTED

    async def after_call(self, result: ToolResult, emit: Emit) -> Evidence:
        return self.evidence.pop(0) if self.evidence else Evidence()

    async def start_over(self, emit: Emit) -> str:
        self.num_started_over += 1
        for event in self.events:
            emit(event)
        if self.error is not None:
            raise self.error
        return self.tried.pop(0) if self.tried else ""

    async def collect(self) -> str:
        self.num_collected += 1
        if self.error is not None:
            raise self.error
        return self.patch


def call_text(name: str, **arguments: Any) -> str:
    """A call in the form that was asked for."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def bash(command: str) -> str:
    return call_text("bash", command=command)


SUBMIT = call_text("submit", message="fixed")


def make_task(**changes: Any) -> Task:
    values: dict[str, Any] = {
        "session_id": "20260101-000000-abcdef",
        "text": "fix it",
        "system_prompt": "You fix bugs.",
        "user_message": "Fix it.",
        "cwd": "/repo",
    }
    return Task(**{**values, **changes})


def make_loop(turns: Iterable[Turn] | ScriptedModel, **parts: Any) -> AgentLoop:
    """Without fresh starts, unless a ``harness`` is among the parts."""
    model = turns if isinstance(turns, ScriptedModel) else ScriptedModel(turns)
    defaults: dict[str, Any] = {
        "tools": toolset(),
        "sandbox": FakeSandbox(),
        "workspace": ScriptedWorkspace(),
        "harness": Harness(fresh_starts=0),
    }
    merged: dict[str, Any] = {**defaults, "model": model, **parts}
    return AgentLoop(**merged)


async def run(loop: AgentLoop, task: Task | None = None) -> list[Event]:
    """All events of a run, checked."""
    async with aclosing(loop.run(task or make_task())) as stream:
        events = [event async for event in stream]
    check_invariants(events)
    return events


def finish(events: Sequence[Event]) -> RunFinished:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last


def of_kind(events: Iterable[Event], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def check_invariants(events: Sequence[Event]) -> None:
    """One RunStarted first, one RunFinished last, every Started closed, in order, and starts that
    are counted on, between steps.
    """
    assert isinstance(events[0], RunStarted)
    assert [event.kind for event in events].count("run_started") == 1
    assert [event.kind for event in events].count("run_finished") == 1
    assert isinstance(events[-1], RunFinished)
    open_: list[object] = []
    num_starts = 1
    for event in events:
        match event:
            case StartedOver():
                assert not open_
                num_starts += 1
                assert event.number == num_starts
            case StepStarted():
                assert not open_
                open_.append(("step", event.step))
            case StepFinished():
                assert open_.pop() == ("step", event.step)
            case ToolCallStarted():
                open_.append(("call", event.call.id))
            case ToolCallFinished():
                assert open_.pop() == ("call", event.call_id)
            case VerificationStarted():
                open_.append(("verification", event.phase))
            case VerificationFinished():
                assert open_.pop() == ("verification", event.phase)
            case _:
                pass
    assert not open_
