from __future__ import annotations

import pytest

from rnj_agent.agent.compaction import stub
from rnj_agent.agent.errors import ContextOverflowError
from rnj_agent.agent.events import ContextCompacted, Notice, StepStarted
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import history
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.messages import UserMessage, to_wire
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.scripted_model import ScriptedModel, ScriptedTurn
from rnj_agent.agent.token_count import EstimatingCounter
from rnj_agent.sandbox.fake import FakeReply, FakeSandbox
from tests.agent.loop_runs import SUBMIT, bash, finish, make_loop, make_task, of_kind, run

LONG = FakeSandbox(default=FakeReply(pattern="", output="x" * 3000))


def model_with(window: int, turns: list[str | ScriptedTurn], *, exact: bool = True):
    info = ModelInfo(name="m", endpoint="x", context_window=window, exact_counts=exact)
    return ScriptedModel(turns, info=info)


def look(number: int) -> str:
    return bash(f"cat {number}")


async def test_old_results_are_shortened_before_the_window_is_full():
    model = model_with(6000, [*[look(n) for n in range(12)], SUBMIT])
    events = await run(make_loop(model, sandbox=LONG))

    compactions = of_kind(events, ContextCompacted)
    assert finish(events).reason == "submitted"
    assert 1 <= len(compactions) <= 4
    for compaction in compactions:
        assert compaction.num_tokens_after < compaction.num_tokens_before
    for started in of_kind(events, StepStarted):
        assert started.num_prompt_tokens <= 6000 - 1500
    assert history(events)[: len(model.requests[-1].messages)] == list(model.requests[-1].messages)


async def test_the_last_two_results_are_never_shortened():
    model = model_with(6000, [*[look(n) for n in range(12)], SUBMIT])
    await run(make_loop(model, sandbox=LONG))
    for request in model.requests:
        results = [message.content for message in request.messages if message.role == "tool"]
        assert all("shortened away" not in content for content in results[-2:])


async def test_the_prefix_changes_only_where_a_compaction_says_so():
    model = model_with(6000, [*[look(n) for n in range(12)], SUBMIT])
    events = await run(make_loop(model, sandbox=LONG))
    changed = 0
    for before, after in zip(model.requests, model.requests[1:], strict=False):
        sent = [to_wire(message) for message in after.messages[: len(before.messages)]]
        changed += sent != [to_wire(message) for message in before.messages]
    assert changed == len(of_kind(events, ContextCompacted))


async def test_a_prompt_that_never_fits_ends_the_run_with_the_numbers():
    model = model_with(1000, [look(1)])
    task = make_task(user_message="y" * 8000)
    done = finish(await run(make_loop(model), task))
    assert done.reason == "context_full"
    assert "1,000" in done.detail
    assert not model.requests


async def test_when_nothing_is_left_to_shorten_the_run_ends():
    replies = [f"{'thinking aloud ' * 80}{look(number)}" for number in range(40)]
    model = model_with(6000, [*replies])
    harness = Harness(aging=False, fresh_starts=0)
    events = await run(make_loop(model, sandbox=LONG, harness=harness))
    assert finish(events).reason == "context_full"
    assert len(of_kind(events, ContextCompacted)) <= 6


async def test_estimates_keep_a_margin():
    model = model_with(6000, [*[look(n) for n in range(12)], SUBMIT], exact=False)
    events = await run(make_loop(model, sandbox=LONG))
    assert max(s.num_prompt_tokens for s in of_kind(events, StepStarted)) <= 0.9 * 4500


async def test_a_server_that_leaves_cached_tokens_out_does_not_deceive_the_estimate():
    counter = EstimatingCounter()
    messages = [UserMessage(content="x" * 32_000)]
    counter.observe(messages, (), 12)
    assert await counter.count(messages, ()) > 4_000


async def test_a_server_that_counts_more_makes_us_plan_with_less():
    overflow = ScriptedTurn(error=ContextOverflowError("too long for the server"))
    model = model_with(6000, [*[look(n) for n in range(4)], overflow, SUBMIT])
    events = await run(make_loop(model, sandbox=LONG))
    assert finish(events).reason == "submitted"
    assert "too long" in of_kind(events, Notice)[0].text


async def test_a_server_that_always_overflows_ends_the_run():
    overflow = ScriptedTurn(error=ContextOverflowError("too long"))
    model = model_with(6000, [overflow] * 60)
    done = finish(await run(make_loop(model, limits=Limits(max_steps=60))))
    assert done.reason == "context_full"


@pytest.mark.parametrize("window", [64, 1024, 4096])
async def test_a_small_window_ends_in_words_not_in_a_crash(window: int):
    model = model_with(window, [look(n) for n in range(30)])
    done = finish(await run(make_loop(model, sandbox=LONG, limits=Limits(max_steps=20))))
    assert done.reason in {"context_full", "step_limit"}


def test_a_stub_names_what_is_gone():
    text = stub("a" * 1000 + "b" * 1000)
    assert text.startswith("a" * 200)
    assert text.endswith("b" * 200)
    assert "1,600 characters of this older result were shortened away" in text
