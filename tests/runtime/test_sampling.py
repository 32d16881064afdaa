"""The sampler draws from exactly the distribution that its parameters describe."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.sampling import Sampler, SamplingParams, filtered

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])
NUM_DRAWS = 8_000


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
    mass = sum(probs[i] for i in nucleus)
    return [probs[i] / mass if i in nucleus else 0.0 for i in range(len(LOGITS))]


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=1.0, seed=1),
        SamplingParams(temperature=0.6, seed=2),
        SamplingParams(temperature=1.7, top_k=3, seed=3),
        SamplingParams(temperature=1.0, top_p=0.8, seed=4),
        SamplingParams(temperature=1.2, top_k=4, top_p=0.7, seed=5),
        SamplingParams(temperature=1.0, top_p=0.01, seed=6),
    ],
)
def test_draws_follow_the_distribution(params: SamplingParams) -> None:
    sampler = Sampler(params)
    counts = Counter(sampler.sample(LOGITS, []) for _ in range(NUM_DRAWS))
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
    probs, ids = filtered(torch.tensor(logits), params)
    assert float(probs.sum()) == pytest.approx(1.0, abs=1e-4)
    assert len(set(ids.tolist())) == len(ids) <= (top_k or len(logits))
    if top_p < 1:
        everything = torch.softmax(torch.tensor(logits) / temperature, dim=0)
        mass = everything.topk(min(top_k or len(logits), len(logits))).values.sum()
        kept = everything[ids] / mass
        assert float(kept.sum()) >= top_p - 1e-4
        assert float(kept.sum() - kept.min()) < top_p + 1e-4


def test_temperature_zero_is_the_most_probable_token() -> None:
    sampler = Sampler(SamplingParams(temperature=0.0, top_p=0.5, seed=None))
    assert {sampler.sample(LOGITS, []) for _ in range(50)} == {0}


def test_the_same_seed_draws_the_same_tokens() -> None:
    def draw(seed: int | None) -> list[int]:
        sampler = Sampler(SamplingParams(seed=seed))
        return [sampler.sample(LOGITS, []) for _ in range(200)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert draw(None) != draw(None)
    assert draw(-5) == draw(-5)


def test_repetition_penalty_divides_positive_and_multiplies_negative_logits() -> None:
    greedy = SamplingParams(temperature=0.0, repetition_penalty=3.0)
    assert Sampler(greedy).sample(LOGITS, [0, 0, 5]) == 1
    negative = torch.tensor([-1.0, -2.0])
    assert Sampler(greedy).sample(negative, [0]) == 1
    assert Sampler(greedy).sample(negative, []) == 0
    assert torch.equal(LOGITS, torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])), "input is untouched"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_numbers_are_an_error(bad: float) -> None:
    logits = torch.tensor([0.0, bad, 1.0])
    with pytest.raises(EngineError, match="not a number"):
        Sampler(SamplingParams(temperature=0.0)).sample(logits, [])


def test_masked_tokens_are_never_drawn() -> None:
    logits = torch.tensor([0.0, -math.inf, 0.0])
    sampler = Sampler(SamplingParams(seed=1))
    assert {sampler.sample(logits, []) for _ in range(200)} == {0, 2}
