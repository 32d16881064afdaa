"""A hundred steps of large outputs in windows that hold a few: they end in order, and say why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.event_json import event_from_json, event_to_json
from rnj_agent.agent.events import ContextCompacted, Event, Protocol, StartedOver, StepStarted
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import History, history
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.messages import AssistantMessage, Message, UserMessage
from rnj_agent.agent.model import ModelInfo, TextChunk
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import call_text, finish, make_loop, make_task, of_kind, run

ISSUE = "Fix the parser: it loses the last line of a file without a line break at its end."
NUM_STEPS = 100
PROTOCOLS: tuple[Protocol, ...] = ("tools", "text", "blocks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What the model does in one step, and what comes of it."""

    command: str
    output: str
    prose: str


class DenseModel(ScriptedModel):
    """Its tokens are single bytes."""

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> int:
        return 300 + sum(len(message.content.encode()) for message in messages)


def repeated(line: str, times: int) -> str:
    return f"{line}\n" * times


def writing(text: str) -> str:
    return f"cat > src/a.py <<'EOF'\n{text[:3000]}EOF"


def program(text: str) -> str:
    return f"python3 -c '{text[:2000]}'"


LINES = ["x", "src/a.py:12: found", "E   assert 1 == 2", "3 failed", "ö" * 40, "y" * 400]
TEXTS = st.builds(repeated, st.sampled_from(LINES), st.integers(0, 300))
COMMANDS = st.one_of(
    st.sampled_from(["cat src/a.py", "cat src/b.py", "pytest -q", "grep -rn x src", "find ."]),
    TEXTS.map(writing),
    TEXTS.map(program),
)
ACTS = st.lists(
    st.builds(
        Act,
        command=COMMANDS,
        output=TEXTS,
        prose=st.sampled_from(["", "I look.", "so " * 300]),
    ),
    min_size=1,
    max_size=6,
)


def turn(act: Act, number: int, protocol: Protocol) -> ScriptedTurn:
    command = f"{act.command}\n# {number}"
    if protocol == "tools":
        text = f"{act.prose}\n{call_text('bash', command=command)}"
    else:
        text = f"THOUGHT: {act.prose}\n\n```bash\n{command}\n```"
    return ScriptedTurn(chunks=(TextChunk(text=text),))


def session(
    acts: list[Act],
    protocol: Protocol,
    window: int,
    *,
    kind: type[ScriptedModel] = ScriptedModel,
) -> tuple[ScriptedModel, FakeSandbox]:
    info = ModelInfo(name="m", endpoint="x", context_window=window, exact_counts=True)
    rounds = [(acts[number % len(acts)], number) for number in range(NUM_STEPS)]
    model = kind([turn(act, number, protocol) for act, number in rounds], info=info)
    replies = [
        FakeReply(pattern=f"# {number}$", output=f"{number}\n{act.output}")
        for act, number in rounds
    ]
    return model, FakeSandbox(replies)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=6, deadline=None)
@given(
    window=st.sampled_from([2048, 4096, 8192]),
    acts=ACTS,
    fresh_starts=st.integers(0, 2),
    aging=st.sampled_from([True, True, False]),
)
async def test_a_long_session_ends_in_order(
    protocol: Protocol, window: int, acts: list[Act], fresh_starts: int, aging: bool
):
    model, sandbox = session(acts, protocol, window)
    events = await run(
        make_loop(
            model,
            sandbox=sandbox,
            protocol=protocol,
            limits=Limits(max_steps=NUM_STEPS),
            harness=Harness(aging=aging, fresh_starts=fresh_starts, nudges=False),
        ),
        make_task(user_message=ISSUE),
    )
    done = finish(events)
    assert done.reason in {"step_limit", "context_full", "loop", "format_errors"}, done.detail
    assert done.detail
    budget = window - min(2048, window // 4)
    assert all(step.num_prompt_tokens <= budget for step in of_kind(events, StepStarted))
    assert all(
        any(isinstance(m, UserMessage) and m.content.startswith(ISSUE) for m in request.messages)
        for request in model.requests
    )
    check_compactions(events, budget)
    check_prefixes(events, model)
    assert of_kind(
        [*map(event_from_json, map(event_to_json, events))], ContextCompacted
    ) == of_kind(events, ContextCompacted)


def check_compactions(events: list[Event], budget: int) -> None:
    """Each gains room, says what it costs, and is never followed at once by another."""
    for before, event in pairwise(events):
        if isinstance(event, ContextCompacted):
            assert event.replaced or event.rewritten
            assert event.num_tokens_after < event.num_tokens_before
            assert 0 < event.num_tokens_again <= event.num_tokens_after
            assert not isinstance(before, ContextCompacted)
    for event, after in pairwise(events):
        if isinstance(event, ContextCompacted) and isinstance(after, StepStarted):
            assert after.num_prompt_tokens <= 0.9 * budget


def check_prefixes(events: list[Event], model: ScriptedModel) -> None:
    """What was sent changes only where an event says so, and is what the events fold to."""
    fold, requests = History(), iter(model.requests)
    sent: list[Message] = []
    is_told = False
    for event in events:
        fold.apply(event)
        is_told |= isinstance(event, ContextCompacted | StartedOver)
        if isinstance(event, StepStarted):
            messages = list(next(requests).messages)
            assert messages == fold.messages
            assert is_told or messages[: len(sent)] == sent
            sent, is_told = list(messages), False


async def test_a_long_session_goes_on_where_summaries_make_room():
    """Steps that are not large themselves do not fill a small window, however many they are."""
    acts = [Act(command="cat src/a.py", output="x = 1\n" * 400, prose="I look.")]
    for protocol in PROTOCOLS:
        model, sandbox = session(acts, protocol, 8192)
        loop = make_loop(
            model,
            sandbox=sandbox,
            protocol=protocol,
            limits=Limits(max_steps=60),
            harness=Harness(fresh_starts=0, nudges=False),
        )
        events = await run(loop, make_task(user_message=ISSUE))
        assert finish(events).reason == "step_limit"
        assert 1 <= len(of_kind(events, ContextCompacted)) <= 20


async def test_calls_stay_calls_when_they_are_shortened():
    text = "value = 1\n" * 200
    acts = [Act(command=f"cat > src/a.py <<'EOF'\n{text}EOF", output="", prose="I write.")]
    for protocol in PROTOCOLS:
        model, sandbox = session(acts, protocol, 4096)
        loop = make_loop(
            model,
            sandbox=sandbox,
            protocol=protocol,
            limits=Limits(max_steps=12),
            harness=Harness(fresh_starts=0, nudges=False),
        )
        events = await run(loop, make_task(user_message=ISSUE))
        assert any(event.rewritten for event in of_kind(events, ContextCompacted))
        asked = [m for m in model.requests[-1].messages if isinstance(m, AssistantMessage)]
        for message in asked:
            if protocol == "tools":
                command = json.loads(message.tool_calls[0].arguments)["command"]
                assert command.startswith(("cat > src/a.py <<", "# wrote src/a.py: 200 lines"))
            else:
                assert message.content.count("```") == 2
        assert "# wrote src/a.py: 200 lines, left out here" in str(asked[0])


async def test_one_output_that_is_more_than_the_window_is_cut_and_the_run_goes_on():
    """Characters of several tokens each: what the bound in characters cannot know."""
    acts = [Act(command="cat src/a.py", output="ö" * 20_000, prose="")]

    model, sandbox = session(acts, "text", 2048, kind=DenseModel)
    loop = make_loop(
        model,
        sandbox=sandbox,
        protocol="text",
        limits=Limits(max_steps=4),
        harness=Harness(fresh_starts=0, nudges=False),
    )
    events = await run(loop, make_task(user_message=ISSUE))
    assert finish(events).reason == "step_limit"
    assert "left out here" in str(model.requests[-1].messages[-1])


async def test_what_other_tools_tell_is_bounded_too():
    files = {"/workspace/a.min.js": b"var a=1;" + b"x" * 50_000}
    edit = call_text("edit", path="a.min.js", old="var a=1;", new="var a=2;")
    info = ModelInfo(name="m", endpoint="x", context_window=4096, exact_counts=True)
    model = ScriptedModel([edit, edit], info=info)
    loop = make_loop(model, sandbox=FakeSandbox(files=files), limits=Limits(max_steps=2))
    await run(loop, make_task(user_message=ISSUE))
    told = model.requests[-1].messages[-1].content
    assert told.startswith("Edited a.min.js")
    assert "characters left out here]" in told
    assert len(told) < 1_700


async def test_the_history_that_is_resumed_is_the_shortened_one():
    acts = [Act(command="cat src/a.py", output="x = 1\n" * 400, prose="")]
    model, sandbox = session(acts, "tools", 4096)
    loop = make_loop(model, sandbox=sandbox, limits=Limits(max_steps=20))
    events = await run(loop, make_task(user_message=ISSUE))
    resumed = history([event_from_json(event_to_json(event)) for event in events])
    assert resumed[: len(model.requests[-1].messages)] == list(model.requests[-1].messages)
