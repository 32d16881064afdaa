"""Runs that are stuck and begin anew: when, what the model is told, and what is never lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.circles import Circles
from rnj_agent.agent.ending import Ending
from rnj_agent.agent.event_json import event_from_json, event_to_json
from rnj_agent.agent.events import (
    Event,
    MessageFinished,
    Notice,
    RunFinished,
    RunStarted,
    StartedOver,
    StepStarted,
)
from rnj_agent.agent.fresh_start import FreshStarts, Sampling
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import history
from rnj_agent.agent.limits import Limits, Spent
from rnj_agent.agent.messages import AssistantMessage, SystemMessage, UserMessage
from rnj_agent.agent.model import ModelInfo, ModelRequest
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.workspace import Evidence, NoWorkspace, Review, state_of
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import (
    SUBMIT,
    ScriptedWorkspace,
    bash,
    call_text,
    finish,
    make_loop,
    make_task,
    of_kind,
    run,
)

LOOP = [bash("ls")] * 5
"""Ends a run."""


def starts_of(model: ScriptedModel) -> list[ModelRequest]:
    """The first request of each start."""
    return [request for request in model.requests if len(request.messages) == 2]


async def test_a_loop_leads_to_a_fresh_start_with_the_files_put_back_and_a_note():
    workspace = ScriptedWorkspace(tried=["In a.py:\n-x\n+y"])
    model = ScriptedModel([bash("cd deep"), *LOOP, SUBMIT])
    sandbox = FakeSandbox([FakeReply(pattern="^cd deep", cwd="/workspace/deep")])
    events = await run(make_loop(model, workspace=workspace, sandbox=sandbox, harness=Harness()))

    assert (finish(events).reason, finish(events).num_steps) == ("submitted", 7)
    assert workspace.num_started_over == 1
    (anew,) = of_kind(events, StartedOver)
    assert (anew.number, anew.reason) == (2, "`ls` was run 5 times with the same result")
    assert anew.note == (
        "You tried this before, and it is undone now:\nIn a.py:\n-x\n+y\n"
        "It was given up because `ls` was run 5 times with the same result. Take another way."
    )
    assert sandbox.commands[-1].command == "cd /workspace", "where the last command left it"


async def test_a_fresh_start_knows_nothing_else_and_its_prompt_begins_with_the_same_bytes():
    model = ScriptedModel([*LOOP, *LOOP, SUBMIT])
    events = await run(make_loop(model, harness=Harness()))
    first, second, third = starts_of(model)
    for later in (second, third):
        assert later.messages[0] == first.messages[0]
        assert later.messages[1].content.startswith(f"{first.messages[1].content}\n\n")
        assert later.tools == first.tools
    assert history(events)[:2] == list(third.messages)
    assert len(history(events)) == 4
    assert [event.number for event in of_kind(events, StartedOver)] == [2, 3]


async def test_when_all_starts_are_used_up_the_run_ends_as_it_would_have():
    model = ScriptedModel([bash("ls")], repeat_last=True)
    events = await run(make_loop(model, harness=Harness(fresh_starts=2)))
    done = finish(events)
    assert (done.reason, done.num_steps) == ("loop", 15)
    assert done.patch
    assert [event.step for event in of_kind(events, StepStarted)] == list(range(1, 16))


async def test_none_without_a_patch_to_make():
    model = ScriptedModel([bash("ls")], repeat_last=True)
    events = await run(make_loop(model, workspace=NoWorkspace(), harness=Harness()))
    assert finish(events).num_steps == 5


async def test_retries_are_drawn_hotter_and_with_other_seeds_and_nothing_else_is():
    async def requests_with(**sampling: Any) -> list[tuple[float | None, int | None]]:
        model = ScriptedModel([bash("pwd"), *LOOP, *LOOP, bash("ls"), SUBMIT])
        parts = {"harness": Harness(retry_temperature=0.6), "sampling": Sampling(**sampling)}
        await run(make_loop(model, **parts))
        return [(request.temperature, request.seed) for request in model.requests]

    cold = await requests_with()
    assert cold[:3] == [(None, None)] * 3
    assert cold[3:6] == [(0.6, None)] * 3, "behind a nudge"
    assert cold[6:] == [(0.6, 2)] * 5 + [(0.6, 3)] * 2
    assert (await requests_with(temperature=0.9, seed=40))[-1] == (0.9, 43)
    assert await requests_with() == cold, "the same seed draws the same run"


async def test_replies_without_a_call_lead_to_a_fresh_start_first():
    model = ScriptedModel([f"Thinking {n}." for n in range(99)])
    parts = {"limits": Limits(max_format_errors=3), "harness": Harness(fresh_starts=1)}
    events = await run(make_loop(model, **parts))
    assert (finish(events).reason, finish(events).num_steps) == ("format_errors", 6)
    (anew,) = of_kind(events, StartedOver)
    assert "3 replies in a row held no call" in anew.note
    assert "Nothing was changed." in anew.note


def model_with(window: int, turns: Sequence[str]) -> ScriptedModel:
    info = ModelInfo(name="m", endpoint="x", context_window=window, exact_counts=True)
    return ScriptedModel(turns, info=info)


async def test_a_full_window_leads_to_a_fresh_start_first():
    replies = [f"{'thinking aloud ' * 200}{bash(f'cat {number}')}" for number in range(99)]
    model = model_with(2000, replies)
    events = await run(make_loop(model, harness=Harness(fresh_starts=1)))
    assert finish(events).reason == "context_full"
    (anew,) = of_kind(events, StartedOver)
    assert "given up because it grew too long" in anew.note
    assert "tokens" in anew.reason


async def test_a_task_that_never_fits_does_not_begin_anew():
    events = await run(
        make_loop(model_with(1000, []), harness=Harness()), make_task(user_message="y" * 8000)
    )
    assert finish(events).reason == "context_full"
    assert not of_kind(events, StartedOver)


async def test_nobody_begins_anew_with_no_step_left_to_take():
    model = ScriptedModel([bash("ls")], repeat_last=True)
    events = await run(make_loop(model, harness=Harness(), limits=Limits(max_steps=5)))
    assert (finish(events).reason, finish(events).num_steps) == ("loop", 5)


def failing(number: int, num_failed: int | None = None) -> Evidence:
    """After a change that leaves another failure each time."""
    return Evidence(state=state_of(f"+{number}"), failure=f"got {number}", num_failed=num_failed)


async def test_after_so_many_steps_with_failing_tests_a_run_begins_anew():
    workspace = ScriptedWorkspace(evidence=[failing(number) for number in range(99)])
    model = ScriptedModel([bash(f"sed {number}") for number in range(10)])
    harness = Harness(steps_per_start=4, fresh_starts=1)
    limits = Limits(max_steps=10)
    events = await run(make_loop(model, workspace=workspace, harness=harness, limits=limits))
    assert [len(request.messages) for request in model.requests] == [
        *range(2, 10, 2),
        *range(2, 14, 2),
    ]
    (anew,) = of_kind(events, StartedOver)
    assert anew.reason == "4 steps did not fix it"
    assert finish(events).reason == "step_limit"


@pytest.mark.parametrize(
    ("evidence", "begins"),
    [
        ([failing(1, 3), failing(2, 3)], True),
        ([failing(1, 3), failing(2, 2)], False),
        ([Evidence(), Evidence()], False),
        ([Evidence(state=state_of("")), Evidence(state=state_of(""))], True),
        ([Evidence(state="a"), Evidence(state="b")], False),
    ],
    ids=["failing", "fewer failing", "unknown", "nothing changed", "changed, no tests"],
)
async def test_steps_alone_are_no_reason_while_there_may_be_progress(
    evidence: list[Evidence], begins: bool
):
    workspace = ScriptedWorkspace(evidence=evidence)
    model = ScriptedModel([bash("sed 1"), bash("sed 2"), SUBMIT])
    harness = Harness(steps_per_start=2)
    events = await run(make_loop(model, workspace=workspace, harness=harness))
    assert bool(of_kind(events, StartedOver)) is begins


@pytest.mark.parametrize(
    ("first", "evidence", "begins"),
    [
        (bash("sed 1"), failing(1), True),
        (bash("cat a.py"), Evidence(state=state_of("")), False),
        (call_text("edit", path="a.py", old="x", new="x"), Evidence(state=state_of("")), True),
        (bash("sed 1"), Evidence(state="a"), False),
    ],
    ids=["a change that fails", "a look", "an edit of nothing", "a change without tests"],
)
async def test_after_so_many_changes_in_vain_a_run_begins_anew(
    first: str, evidence: Evidence, begins: bool
):
    workspace = ScriptedWorkspace(evidence=[evidence])
    model = ScriptedModel([first, SUBMIT])
    harness = Harness(tries_per_start=1)
    events = await run(make_loop(model, workspace=workspace, harness=harness))
    assert [event.reason for event in of_kind(events, StartedOver)] == (
        ["1 step in vain"] if begins else []
    )


async def test_a_submission_that_is_sent_back_counts_as_a_change_in_vain():
    workspace = ScriptedWorkspace([Review(accepted=False, feedback="nothing is changed")])
    model = ScriptedModel([SUBMIT, SUBMIT])
    harness = Harness(tries_per_start=1)
    events = await run(make_loop(model, workspace=workspace, harness=harness))
    assert [event.number for event in of_kind(events, StartedOver)] == [2]
    assert finish(events).reason == "submitted"


async def test_without_notes_the_same_is_asked_again_with_another_seed():
    workspace = ScriptedWorkspace(tried=["In a.py:\n-x\n+y"])
    model = ScriptedModel([*LOOP, SUBMIT])
    harness = Harness(retry_notes=False)
    await run(make_loop(model, workspace=workspace, harness=harness))
    first, second = starts_of(model)
    assert first.messages == second.messages
    assert (first.temperature, second.temperature) == (None, harness.retry_temperature)
    assert first.seed != second.seed


async def test_a_change_made_again_and_again_leads_to_a_fresh_start_and_ends_no_run():
    states = [state_of(patch) for patch in ["+1", "", "+1", "", "+1", "+2"]]
    for fresh_starts in (0, 1):
        evidence = [Evidence(state=state) for state in states]
        model = ScriptedModel([bash(f"sed {number}") for number in range(6)] + [SUBMIT])
        harness = Harness(fresh_starts=fresh_starts)
        workspace = ScriptedWorkspace(evidence=evidence)
        events = await run(make_loop(model, workspace=workspace, harness=harness))
        assert finish(events).reason == "submitted"
        reasons = [event.reason for event in of_kind(events, StartedOver)]
        assert reasons == ["the same change was made 3 times and undone in between"] * fresh_starts


async def test_each_start_has_its_submissions_judged():
    no = Review(accepted=False, feedback="a test fails")
    workspace = ScriptedWorkspace([no, no, no])
    limits = Limits(max_rejections=2)
    model = ScriptedModel([SUBMIT, *LOOP, SUBMIT, SUBMIT, SUBMIT])
    events = await run(
        make_loop(model, workspace=workspace, limits=limits, harness=Harness(nudges=False))
    )
    assert finish(events).verified is True
    assert workspace.num_reviews == 4


def test_the_newest_of_what_was_tried_is_told_and_nothing_twice():
    starts = FreshStarts(Harness(fresh_starts=9), Limits(), possible=True)
    ending = Ending("loop", "6 steps did not fix it")
    notes = [starts.begin(ending, tried, Spent()) for tried in ("a", "a", "", "b", "c", "d")]
    assert notes[0].splitlines()[1:-1] == ["a"]
    assert notes[2].splitlines()[1:-1] == ["a"]
    assert notes[-1].splitlines()[1:-1] == ["b", "c", "d"]
    assert notes[-1].startswith("You tried this before 6 times, and it is undone now:\n")
    assert all("```" not in note and "<" not in note for note in notes)


@given(
    steps=st.lists(st.tuples(st.sampled_from(["loop", "submitted", "due"]), st.integers(0, 9))),
    fresh_starts=st.integers(0, 4),
)
def test_no_more_fresh_starts_than_allowed(steps: list[tuple[str, int]], fresh_starts: int):
    starts = FreshStarts(Harness(fresh_starts=fresh_starts), Limits(), possible=True)
    spent, num_begun, num_steps_before = Spent(), 0, 0
    for what, num_steps in steps:
        spent.num_steps = min(49, spent.num_steps + num_steps)
        circles = Circles()
        circles.stuck = "going in circles" if what == "due" else ""
        ending = starts.due(circles, spent) or Ending("loop" if what == "loop" else "submitted", "")
        if starts.mends(ending, spent):
            assert spent.num_steps > num_steps_before
            starts.begin(ending, "", spent)
            num_begun, num_steps_before = num_begun + 1, spent.num_steps
    assert num_begun <= fresh_starts
    assert starts.number == num_begun + 1


ANEW = StartedOver(number=2, reason="why", note="note", message=UserMessage(content="Two.\n\nnote"))


def test_in_a_session_of_several_turns_only_the_last_one_begins_anew():
    first = make_events("One.", "Done.")
    second = make_events("Two.", "Looking.")
    events: list[Event] = [*first[:1], system(), *first[1:], *second, ANEW, said("Again.")]
    contents = [message.content for message in history(events)]
    assert contents == ["You fix bugs.", "One.", "Done.", "Two.\n\nnote", "Again."]
    kept = [event_from_json(event_to_json(event)) for event in events]
    assert history(kept) == history(events)


def said(content: str) -> Event:
    return message_event(AssistantMessage(content=content))


def system() -> Event:
    return message_event(SystemMessage(content="You fix bugs."))


def message_event(message: SystemMessage | UserMessage | AssistantMessage) -> Event:
    return MessageFinished(message=message)


def make_events(asked: str, answered: str) -> list[Event]:
    """A turn, as the loop tells it."""
    started = RunStarted(
        session_id="s",
        task=asked,
        cwd="/repo",
        model="m",
        endpoint="e",
        context_window=1000,
        protocol="tools",
        sandbox="fake",
        started_at="",
        version="0",
    )
    finished = RunFinished(
        reason="answered",
        detail="",
        answer=answered,
        patch="",
        verified=None,
        num_steps=1,
        num_prompt_tokens=0,
        num_cached_tokens=0,
        num_completion_tokens=0,
        duration_s=0.0,
    )
    asks = message_event(UserMessage(content=asked))
    return [started, Notice(level="info", text="x"), asks, said(answered), finished]


async def test_a_call_that_shows_again_what_it_showed_is_in_vain():
    model = ScriptedModel([bash("make test"), bash("make test"), SUBMIT])
    harness = Harness(tries_per_start=1)
    events = await run(make_loop(model, workspace=ScriptedWorkspace(), harness=harness))
    assert [event.reason for event in of_kind(events, StartedOver)] == ["1 step in vain"]
