"""Log-probabilities are the model's own, whatever was sampled from."""

from __future__ import annotations

import math

import pytest
import torch

from rnj_agent.runtime.logprobs import token_logprob

LOGITS = torch.tensor([1.0, 3.0, 2.0, -4.0])


def expected_logprob(token_id: int) -> float:
    total = sum(math.exp(logit) for logit in LOGITS.tolist())
    return LOGITS.tolist()[token_id] - math.log(total)


def test_the_chosen_token_has_its_own_logprob_though_it_is_not_among_the_best() -> None:
    chosen = token_logprob(LOGITS, 3, num_top=2)
    assert chosen.token_id == 3
    assert chosen.logprob == pytest.approx(expected_logprob(3), abs=1e-6)
    assert [token_id for token_id, _ in chosen.top] == [1, 2]
    for token_id, logprob in chosen.top:
        assert logprob == pytest.approx(expected_logprob(token_id), abs=1e-6)


def test_none_of_the_best_are_named_unless_asked_for() -> None:
    assert token_logprob(LOGITS, 1, num_top=0).top == ()


def test_no_more_than_the_vocabulary_is_named() -> None:
    assert len(token_logprob(LOGITS, 1, num_top=20).top) == 4


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits = torch.zeros(100_000, dtype=torch.bfloat16)
    assert token_logprob(logits, 5, num_top=0).logprob == pytest.approx(
        -math.log(100_000), abs=1e-3
    )
