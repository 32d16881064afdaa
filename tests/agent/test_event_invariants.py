from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.errors import ModelError, ModelUnavailableError, SessionError
from rnj_agent.agent.events import Event, VerificationStarted
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import history
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.model import (
    Chunk,
    ReasoningChunk,
    RetryChunk,
    TextChunk,
    ToolCallChunk,
    UsageChunk,
)
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn
from rnj_agent.agent.workspace import UNCHANGED, Evidence, Review
from rnj_agent.sandbox.errors import SandboxFileError, SandboxLostError
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import (
    SUBMIT,
    ScriptedWorkspace,
    bash,
    call_text,
    check_invariants,
    make_loop,
    make_task,
)

TEXTS = st.sampled_from(
    ["hm", "", bash("ls"), bash("slow"), bash("lost"), bash("..."), SUBMIT, call_text("fly")]
)
CHUNKS: st.SearchStrategy[Chunk] = st.one_of(
    TEXTS.map(lambda text: TextChunk(text=text)),
    st.just(ReasoningChunk(text="I see")),
    st.just(RetryChunk(reason="busy", delay_s=0.1)),
    st.just(UsageChunk(num_prompt_tokens=9, num_cached_tokens=8, num_completion_tokens=7)),
    st.sampled_from(['{"command": "ls"}', "", "{", "[1]"]).map(
        lambda text: ToolCallChunk(call=ToolCall(id="", name="bash", arguments=text))
    ),
)
ERRORS: st.SearchStrategy[ModelError | None] = st.sampled_from(
    [None, None, None, ModelUnavailableError("gone")]
)
TURNS = st.builds(
    ScriptedTurn,
    chunks=st.lists(CHUNKS, max_size=4).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
    error=ERRORS,
    delay_s=st.sampled_from([0.0, 0.0, 0.002]),
)
REVIEWS = st.lists(
    st.builds(Review, accepted=st.booleans(), verified=st.sampled_from([None, True, False])),
    max_size=3,
)
HARNESSES = st.builds(
    Harness,
    nudges=st.booleans(),
    fresh_starts=st.integers(0, 3),
    steps_per_start=st.sampled_from([None, 1, 2]),
)


class _FailingRecorder:
    """Keeps events in a list, and fails after so many."""

    def __init__(self, num_left: int) -> None:
        self.events: list[Event] = []
        self.num_closed = 0
        self._num_left = num_left

    def write(self, event: Event) -> None:
        if len(self.events) >= self._num_left:
            raise SessionError("no space")
        self.events.append(event)

    def sync(self) -> None:
        pass

    def close(self) -> None:
        self.num_closed += 1


async def consume(
    turns: Sequence[ScriptedTurn],
    workspace: ScriptedWorkspace,
    recorder: _FailingRecorder,
    protocol: str,
    interrupt_at: int,
    harness: Harness,
) -> list[Event]:
    sandbox = FakeSandbox(
        [
            FakeReply(pattern="slow", delay_s=0.02),
            FakeReply(pattern="lost", error=SandboxLostError("lost")),
        ]
    )
    loop = make_loop(
        ScriptedModel(turns),
        workspace=workspace,
        recorder=recorder,
        sandbox=sandbox,
        protocol=protocol,
        harness=harness,
        limits=Limits(max_steps=8, max_wall_s=5),
    )
    events: list[Event] = []
    async for event in loop.run(make_task()):
        events.append(event)
        if len(events) >= interrupt_at:
            await asyncio.sleep(0)
            loop.interrupt()
    return events


@given(
    turns=st.lists(TURNS, max_size=8),
    reviews=REVIEWS,
    fails=st.booleans(),
    opens=st.booleans(),
    room=st.sampled_from([10**6, 10**6, 3, 12]),
    interrupt_at=st.one_of(st.just(10**6), st.integers(1, 40)),
    protocol=st.sampled_from(["tools", "text"]),
    harness=HARNESSES,
)
@settings(max_examples=300, deadline=None)
def test_every_run_opens_and_closes_in_order(
    turns: list[ScriptedTurn],
    reviews: list[Review],
    fails: bool,
    opens: bool,
    room: int,
    interrupt_at: int,
    protocol: str,
    harness: Harness,
):
    started = VerificationStarted(phase="after", command="pytest")
    workspace = ScriptedWorkspace(
        reviews,
        error=SandboxFileError("no space") if fails else None,
        events=(started,) if opens else (),
        evidence=[Evidence(state=UNCHANGED)] * 8,
    )
    recorder = _FailingRecorder(room)
    events = asyncio.run(consume(turns, workspace, recorder, protocol, interrupt_at, harness))
    check_invariants(events)
    assert recorder.events == events[:room]
    assert recorder.num_closed == 1
    roles = [message.role for message in history(events)]
    assert roles[:2] == ["system", "user"]
    num_starts = 1 + sum(event.kind == "started_over" for event in events)
    assert num_starts <= 1 + harness.fresh_starts
    assert num_starts - 1 <= workspace.num_started_over <= num_starts
