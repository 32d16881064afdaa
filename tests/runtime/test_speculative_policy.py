"""The width of verify passes: worth it on edits, harmless on prose, in any batch."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.prompt_lookup import NO_DRAFT, Draft
from rnj_agent.runtime.speculative import WIDTHS, SequenceSpeculation, SpeculationPolicy
from tests.runtime.speculation_simulator import edited, simulate, zipf_text

INT8_CPU = {1: 151.0, 2: 147.0, 4: 200.0, 8: 370.0}
"""Milliseconds of 1.31e9 int8 weights on two cores with AVX-512 (torch 2.13)."""
STEEP = {1: 100.0, 2: 120.0, 4: 160.0, 8: 240.0}
FLAT = {1: 8.0, 2: 8.1, 4: 8.2, 8: 8.5}
"""As where reading the weights is all the work."""
COSTS = {"int8_cpu": INT8_CPU, "steep": STEEP, "flat": FLAT}
LONG_DRAFT = Draft(tuple(range(7)), 16)


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("mean_run", [15, 40])
def test_edits_become_faster(name: str, mean_run: int) -> None:
    speedups: list[float] = []
    for seed in range(7):
        rng = random.Random(seed)
        source = zipf_text(500, vocab_size=400, rng=rng)
        reply = edited(source, mean_run=mean_run, vocab_size=400, rng=rng)
        run = simulate([*zipf_text(100, vocab_size=400, rng=rng), *source], reply, cost_of(name))
        assert run.reply_ids == reply
        speedups.append(run.speedup)
    assert statistics.median(speedups) >= 1.4


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("vocab_size", [50, 400, 5000])
def test_text_without_repetitions_loses_next_to_nothing(name: str, vocab_size: int) -> None:
    speedups: list[float] = []
    for seed in range(7):
        rng = random.Random(seed)
        prompt = zipf_text(500, vocab_size=vocab_size, rng=rng)
        reply = zipf_text(500, vocab_size=vocab_size, rng=rng)
        speedups.append(simulate(prompt, reply, cost_of(name)).speedup)
    assert statistics.median(speedups) >= 0.98
    assert min(speedups) >= 0.96


def test_where_rows_cost_what_passes_cost_nothing_is_verified_for_long() -> None:
    rng = random.Random(1)
    source = zipf_text(1500, vocab_size=400, rng=rng)
    run = simulate(source, edited(source, mean_run=40, vocab_size=400, rng=rng), float)
    assert run.speedup >= 0.97
    assert run.widths[1] > 0.9 * run.widths.total()


def test_it_finds_back_when_the_text_starts_to_repeat() -> None:
    """Prose for long, then a copy of the prompt: the estimates must not stay at prose's."""
    rng = random.Random(2)
    source = zipf_text(600, vocab_size=400, rng=rng)
    policy = SpeculationPolicy()
    prose = zipf_text(1000, vocab_size=400, rng=rng)
    alone = simulate(source, prose, cost_of("int8_cpu"), policy=policy).speedup
    both = simulate(source, [*prose, *source], cost_of("int8_cpu"), policy=policy).speedup
    time_alone, time_both = len(prose) / alone, (len(prose) + len(source)) / both
    assert len(source) / (time_both - time_alone) >= 2.0


def test_one_odd_pass_does_not_switch_it_off() -> None:
    policy, state = SpeculationPolicy(), SequenceSpeculation()
    for step in range(20):
        policy.observe_pass(1, 0.1)
        policy.observe_pass(4, 3.0 if step == 9 else 0.12)
        policy.observe_pass(8, 0.4)
        state.observe(16, 3, 3)
        assert policy.choose_width(LONG_DRAFT, state, num_other_rows=0) > 1


def test_guesses_fade_out_as_the_batch_grows() -> None:
    """Rows are free up to 8, then each costs its share: as compute takes over from memory."""
    policy, state = SpeculationPolicy(), SequenceSpeculation()
    cost_ms = {rows: max(100.0, 12.5 * rows) for rows in (1, 2, 4, 8, 12, 16, 24, 32, 64)}
    for _ in range(12):
        for rows, milliseconds in cost_ms.items():
            policy.observe_pass(rows, milliseconds / 1000)
        state.observe(16, 7, 6)
    widths = [policy.choose_width(LONG_DRAFT, state, num_other_rows=n) for n in (0, 4, 15, 31)]
    assert widths[0] == 8
    assert widths[0] >= widths[1] >= widths[2]
    assert widths[2:] == [1, 1]


def test_without_a_draft_there_is_one_row() -> None:
    state = SequenceSpeculation()
    assert SpeculationPolicy().choose_width(NO_DRAFT, state, num_other_rows=0) == 1


def test_what_is_learned_of_one_match_length_stays_there() -> None:
    state = SequenceSpeculation()
    before = state.expected_tokens(16, 3)
    for _ in range(50):
        state.observe(3, 3, 0)
    assert state.expected_tokens(3, 3) < 1.2
    assert state.expected_tokens(16, 3) == before > 3.0


@given(
    passes=st.lists(st.tuples(st.integers(1, 40), st.floats(0.001, 10)), max_size=30),
    verified=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 7), st.integers(0, 7))),
    match_length=st.integers(0, 20),
    num_guesses=st.integers(0, 7),
    num_other_rows=st.integers(0, 60),
)
@settings(deadline=None)
def test_a_width_is_one_of_the_set_and_has_guesses_for_all_its_rows(
    passes: list[tuple[int, float]],
    verified: list[tuple[int, int, int]],
    match_length: int,
    num_guesses: int,
    num_other_rows: int,
) -> None:
    policy, state = SpeculationPolicy(), SequenceSpeculation()
    for num_rows, seconds in passes:
        policy.observe_pass(num_rows, seconds)
    for length, num_drafted, num_accepted in verified:
        state.observe(length, num_drafted, min(num_drafted, num_accepted))
    draft = Draft(tuple(range(num_guesses)), match_length)
    width = policy.choose_width(draft, state, num_other_rows=num_other_rows)
    assert width in WIDTHS
    assert width <= num_guesses + 1


def cost_of(name: str) -> Callable[[int], float]:
    return COSTS[name].__getitem__
