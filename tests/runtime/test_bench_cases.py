"""What the cases ask for, and what they make of contestants whose times are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.runtime.bench.cases import GROUPS, batch, decode, first_token, prefill
from rnj_agent.runtime.bench.plan import full_plan, quick_plan
from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.bench_reports import TimedContestant
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

TOKEN_S = 0.01


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Prompts:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("bench") / "noise.gguf")
    checkpoint = open_checkpoint(path)
    tokenizer = load_tokenizer(Path(path), metadata=checkpoint.metadata)
    checkpoint.close()
    return Prompts(tokenizer, max_tokens=700)


def test_prompts_are_exactly_as_long_as_asked(prompts: Prompts) -> None:
    assert [len(prompts.prompt(n, salt=0)) for n in (1, 2, 700)] == [1, 2, 700]
    assert len(prompts.tail(30, salt=1)) == 30


def test_a_salt_makes_prompts_cold_and_the_same_salt_extends_them(prompts: Prompts) -> None:
    short, long, other = (prompts.prompt(n, salt=s) for n, s in ((50, 1), (600, 1), (600, 2)))
    assert long[:50] == short
    assert long[0] != other[0]
    assert prompts.tail(9, salt=1) != prompts.prompt(9, salt=1)


def test_prefill_is_measured_cold_in_every_run(prompts: Prompts) -> None:
    case, contestant = prefill(100, salt=0), TimedContestant(token_s=TOKEN_S)
    for run in range(3):
        assert case.measure(contestant, prompts, run) == (pytest.approx(1 / TOKEN_S),)


def test_the_first_token_behind_a_cached_prefix_costs_the_new_tokens(prompts: Prompts) -> None:
    case = first_token(300, num_new_tokens=20, salt=0)
    contestant = TimedContestant(token_s=TOKEN_S)
    for run in range(2):
        cold_s, cached_s = case.measure(contestant, prompts, run)
        assert cold_s == pytest.approx(300 * TOKEN_S)
        assert cached_s == pytest.approx(20 * TOKEN_S)


def test_decode_counts_the_passes_after_the_first_token(prompts: Prompts) -> None:
    case = decode(64, num_tokens=9, salt=0)
    assert case.measure(TimedContestant(token_s=TOKEN_S), prompts, 0) == (
        pytest.approx(1 / TOKEN_S),
    )
    assert case.specs[0].contexts == (64,)


def test_a_batch_is_warm_and_counts_all_of_its_tokens(prompts: Prompts) -> None:
    case = batch(4, num_slots=8, context=32, num_tokens=5, salt=0)
    contestant = TimedContestant(token_s=TOKEN_S)
    total, each = case.measure(contestant, prompts, 0)
    assert total == pytest.approx(4 / TOKEN_S)
    assert each == pytest.approx(1 / TOKEN_S)
    assert len({tuple(prompt) for prompt in contestant.prompts}) == 4
    assert case.specs[0].contexts == (32,) * 4


def test_a_plan_measures_what_it_is_asked_for() -> None:
    names = [case.name for case in full_plan().cases()]
    assert names == [
        "prefill 512",
        "prefill 2048",
        "ttft 3000 cold",
        "ttft 6000 cold",
        "decode at 4096",
        "decode at 128",
        "batch 1, all",
        "batch 2, all",
        "batch 4, all",
        "batch 8, all",
    ]
    assert {case.group for case in full_plan({"decode", "load"}).cases()} == {"decode"}
    assert full_plan(set(GROUPS)).num_context_tokens == 6201
    assert len(quick_plan().cases()) < len(names)


def test_cold_prompts_of_a_plan_never_meet(prompts: Prompts) -> None:
    """Whatever the order and the number of runs: only what is meant to be cached is."""
    plan = quick_plan({"prefill", "ttft"})
    contestant = TimedContestant(token_s=TOKEN_S)
    big = Prompts(prompts.tokenizer, max_tokens=plan.num_context_tokens)
    for case in plan.cases():
        for run in range(plan.num_runs):
            value = case.measure(contestant, big, run)[0]
            cold = 1500 * TOKEN_S if case.group == "ttft" else 1 / TOKEN_S
            assert value == pytest.approx(cold)
