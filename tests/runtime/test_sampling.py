"""The sampler draws from exactly the distribution that its parameters describe."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.sampling import MIN_TEMPERATURE, Sampler, SamplingParams, filtered

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])
NUM_DRAWS = 4_000


def expected_probs(params: SamplingParams) -> list[float]:
    """The textbook definition, token by token, in double precision."""
    weights = [math.exp(logit / params.temperature) for logit in LOGITS.tolist()]
    probs = {i: w / sum(weights) for i, w in enumerate(weights)}
    kept = sorted(probs, key=lambda i: -probs[i])
    if params.top_k:
        kept = kept[: params.top_k]
    mass = sum(probs[i] for i in kept)
    nucleus: list[int] = []
    total = 0.0
    for i in kept:
        if total < params.top_p:
            nucleus.append(i)
        total += probs[i] / mass
    nucleus = [i for i in nucleus if probs[i] >= params.min_p * max(probs.values())]
    mass = sum(probs[i] for i in nucleus)
    return [probs[i] / mass if i in nucleus else 0.0 for i in range(len(LOGITS))]


def draws(params: SamplingParams, num_draws: int, logits: torch.Tensor = LOGITS) -> list[int]:
    """A reply whose every position has the same logits."""
    sampler = Sampler(params, prompt_ids=())
    token_ids: list[int] = []
    for _ in range(num_draws):
        token_ids.append(sampler.sample(logits))
        sampler.append(token_ids[-1])
    return token_ids


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=1.0, seed=1),
        SamplingParams(temperature=0.6, seed=2),
        SamplingParams(temperature=1.7, top_k=3, seed=3),
        SamplingParams(temperature=1.0, top_p=0.8, seed=4),
        SamplingParams(temperature=1.2, top_k=4, top_p=0.7, seed=5),
        SamplingParams(temperature=1.0, top_p=0.01, seed=6),
        SamplingParams(temperature=1.0, min_p=0.2, seed=7),
        SamplingParams(temperature=1.5, top_p=0.9, min_p=0.3, seed=8),
        SamplingParams(temperature=1.0, min_p=1.0, seed=9),
    ],
)
def test_draws_follow_the_distribution(params: SamplingParams) -> None:
    counts = Counter(draws(params, NUM_DRAWS))
    expected = expected_probs(params)
    possible = [i for i, prob in enumerate(expected) if prob > 0]
    assert set(counts) <= set(possible)
    chi_square = sum(
        (counts[i] - NUM_DRAWS * expected[i]) ** 2 / (NUM_DRAWS * expected[i]) for i in possible
    )
    # 25.7 is the 0.9999 quantile for 5 degrees of freedom, the most there are here
    assert chi_square < 25.7


@given(
    logits=st.lists(st.floats(-20, 20), min_size=1, max_size=700),
    temperature=st.floats(0.05, 2),
    top_k=st.integers(0, 800),
    top_p=st.floats(0.01, 1),
)
@settings(deadline=None, max_examples=200)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p)
    probs, found_ids = filtered(torch.tensor(logits), params)
    ids = torch.arange(len(logits)) if found_ids is None else found_ids
    assert float(probs.sum()) == pytest.approx(1.0, abs=1e-4)
    assert len(set(ids.tolist())) == len(ids) <= (top_k or len(logits))
    if top_p < 1:
        everything = torch.softmax(torch.tensor(logits) / temperature, dim=0)
        mass = everything.topk(min(top_k or len(logits), len(logits))).values.sum()
        kept = everything[ids] / mass
        assert float(kept.sum()) >= top_p - 1e-4
        assert float(kept.sum() - kept.min()) < top_p + 1e-4


@pytest.mark.parametrize("temperature", [0.0, 1e-30])
def test_temperature_zero_is_the_most_probable_token(temperature: float) -> None:
    assert set(draws(SamplingParams(temperature=temperature, top_p=0.5), 50)) == {0}


def test_the_lowest_temperature_that_samples_stays_in_range() -> None:
    params = SamplingParams(temperature=MIN_TEMPERATURE, seed=1)
    assert set(draws(params, 50, torch.tensor([300.0, 299.0, -300.0]))) == {0}


def test_the_same_seed_draws_the_same_tokens() -> None:
    def draw(seed: int | None) -> list[int]:
        return draws(SamplingParams(seed=seed), 200)

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert draw(None) != draw(None)
    assert draw(-5) == draw(-5)
    assert draw(2**80) != draw(2**80 + 1)


def test_the_choices_of_one_seed_differ_and_can_be_had_again() -> None:
    def draw(seed_offset: int) -> list[int]:
        sampler = Sampler(SamplingParams(seed=3), prompt_ids=(), seed_offset=seed_offset)
        token_ids: list[int] = []
        for _ in range(200):
            token_ids.append(sampler.sample(LOGITS))
            sampler.append(token_ids[-1])
        return token_ids

    assert draw(0) == draws(SamplingParams(seed=3), 200)
    assert draw(1) == draw(1) != draw(0)


def test_a_draw_depends_on_its_position_alone() -> None:
    """A reply that was preempted, verified in one pass or forced in part goes on the same."""
    forced = Sampler(SamplingParams(seed=11), prompt_ids=())
    token_ids = draws(SamplingParams(seed=11), 20)
    for token_id in token_ids[:10]:
        forced.append(token_id)
    for token_id in token_ids[10:]:
        assert forced.sample(LOGITS) == forced.sample(LOGITS) == token_id
        forced.append(token_id)


def test_repetition_penalty_divides_positive_and_multiplies_negative_logits() -> None:
    greedy = SamplingParams(temperature=0.0, repetition_penalty=3.0)
    assert Sampler(greedy, prompt_ids=[0, 0, 5]).sample(LOGITS) == 1
    negative = torch.tensor([-1.0, -2.0])
    assert Sampler(greedy, prompt_ids=[0]).sample(negative) == 1
    assert Sampler(greedy, prompt_ids=[]).sample(negative) == 0
    assert torch.equal(LOGITS, torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])), "input is untouched"


def test_bias_adds_to_a_logit() -> None:
    forced = SamplingParams(temperature=0.0, logit_bias={4: 100.0})
    assert Sampler(forced, prompt_ids=()).sample(LOGITS) == 4
    banned = SamplingParams(temperature=1.0, logit_bias={0: -100.0, 1: -100.0}, seed=1)
    assert set(draws(banned, 500)) <= {2, 3, 4, 5}


@given(
    prompt_ids=st.lists(st.integers(0, 11), max_size=8),
    reply_ids=st.lists(st.integers(0, 11), max_size=30),
    first_sample=st.integers(0, 30),
    repetition=st.sampled_from([0.5, 1.0, 1.3]),
    presence=st.sampled_from([-1.5, 0.0, 0.7]),
    frequency=st.sampled_from([-0.5, 0.0, 0.4]),
)
@settings(deadline=None, max_examples=200)
def test_penalties_kept_up_token_by_token_are_those_of_the_whole_history(
    prompt_ids: list[int],
    reply_ids: list[int],
    first_sample: int,
    repetition: float,
    presence: float,
    frequency: float,
) -> None:
    logits = torch.linspace(-2.0, 2.0, 12)
    params = SamplingParams(
        temperature=0.0,
        repetition_penalty=repetition,
        presence_penalty=presence,
        frequency_penalty=frequency,
    )
    expected = [
        (logit / repetition if logit > 0 else logit * repetition)
        if i in {*prompt_ids, *reply_ids}
        else logit
        for i, logit in enumerate(logits.tolist())
    ]
    counts = Counter(reply_ids)
    expected = [
        logit - (presence + frequency * counts[i] if counts[i] else 0.0)
        for i, logit in enumerate(expected)
    ]
    sampler = Sampler(params, prompt_ids=prompt_ids)
    for position, token_id in enumerate(reply_ids):
        if position >= first_sample:
            sampler.sample(logits)
        sampler.append(token_id)
    assert expected[sampler.sample(logits)] == pytest.approx(max(expected), abs=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_numbers_are_an_error(bad: float) -> None:
    logits = torch.tensor([0.0, bad, 1.0])
    for mask in (None, torch.tensor([True, True, False])):
        with pytest.raises(EngineError, match="not a number"):
            Sampler(SamplingParams(temperature=0.0), prompt_ids=()).sample(logits, mask)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_only_what_the_mask_allows_is_chosen(temperature: float) -> None:
    params = SamplingParams(temperature=temperature, logit_bias={0: 100.0}, seed=1)
    mask = torch.tensor([False, True, False, True, False, True])
    sampler = Sampler(params, prompt_ids=())
    chosen: Counter[int] = Counter()
    for _ in range(500):
        chosen[sampler.sample(LOGITS, mask)] += 1
        sampler.append(0)
    assert set(chosen) == ({1} if temperature == 0.0 else {1, 3, 5})


def test_a_mask_of_one_token_needs_no_logits_and_of_none_is_an_error() -> None:
    sampler = Sampler(SamplingParams(), prompt_ids=())
    only = torch.zeros(6, dtype=torch.bool)
    with pytest.raises(EngineError, match="allows no token"):
        sampler.sample(LOGITS, only)
    only[4] = True
    assert sampler.sample(torch.full((6,), math.nan), only) == 4


def test_masked_tokens_are_never_drawn() -> None:
    logits = torch.tensor([0.0, -math.inf, 0.0])
    assert set(draws(SamplingParams(seed=1), 200, logits)) == {0, 2}
