"""Verified guesses leave the distribution of replies, and with a seed the replies, as they are.

The engine's procedure on a small Markov chain: sample each row, go on while the guess is met.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import torch

from rnj_agent.runtime.sampling import Sampler, SamplingParams

VOCAB_SIZE = 4
REPLY_LENGTH = 3
NUM_REPLIES = 2_000
LOGITS = torch.randn(VOCAB_SIZE, VOCAB_SIZE, generator=torch.Generator().manual_seed(5))
"""Row i: after token i."""
PROMPT = [0]


def plain_reply(params: SamplingParams, seed_offset: int) -> list[int]:
    sampler = Sampler(params, prompt_ids=PROMPT, seed_offset=seed_offset)
    token_ids = list(PROMPT)
    while len(token_ids) < len(PROMPT) + REPLY_LENGTH:
        token_ids.append(sampler.sample(LOGITS[token_ids[-1]]))
        sampler.append(token_ids[-1])
    return token_ids[len(PROMPT) :]


def verified_reply(
    params: SamplingParams, seed_offset: int, guess: Callable[[Sequence[int]], list[int]]
) -> list[int]:
    """Rows after the newest token and each guess are computed before anything is sampled."""
    sampler = Sampler(params, prompt_ids=PROMPT, seed_offset=seed_offset)
    token_ids = list(PROMPT)
    while len(token_ids) < len(PROMPT) + REPLY_LENGTH:
        guesses = guess(token_ids)
        rows = LOGITS[torch.tensor([token_ids[-1], *guesses])]
        for row, guessed in zip(rows, [*guesses, None], strict=True):
            token_ids.append(sampler.sample(row))
            sampler.append(token_ids[-1])
            if token_ids[-1] != guessed:
                break
    return token_ids[len(PROMPT) :][:REPLY_LENGTH]


def most_probable(token_ids: Sequence[int]) -> list[int]:
    second = int(LOGITS[token_ids[-1]].argmax())
    return [second, int(LOGITS[second].argmax())]


def improbable(token_ids: Sequence[int]) -> list[int]:
    return [int(LOGITS[token_ids[-1]].argmin())]


def always_the_same(token_ids: Sequence[int]) -> list[int]:
    return [1] * 3


GUESSES = [most_probable, improbable, always_the_same]


@pytest.mark.parametrize("guess", GUESSES)
def test_replies_follow_the_models_distribution(
    guess: Callable[[Sequence[int]], list[int]],
) -> None:
    params = SamplingParams(temperature=0.9, seed=3)
    counts = Counter(tuple(verified_reply(params, i, guess)) for i in range(NUM_REPLIES))
    step = torch.softmax(LOGITS / 0.9, dim=1).tolist()
    chi_square = 0.0
    for reply in itertools.product(range(VOCAB_SIZE), repeat=REPLY_LENGTH):
        path = [PROMPT[-1], *reply]
        prob = math.prod(step[a][b] for a, b in itertools.pairwise(path))
        chi_square += (counts[reply] - NUM_REPLIES * prob) ** 2 / (NUM_REPLIES * prob)
    # 117 is the 0.9999 quantile for 4**3 - 1 = 63 degrees of freedom
    assert chi_square < 117


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=1.0, seed=1),
        SamplingParams(temperature=0.7, top_p=0.8, min_p=0.05, seed=2),
        SamplingParams(temperature=1.0, repetition_penalty=1.5, frequency_penalty=1.0, seed=3),
        SamplingParams(temperature=0.0, presence_penalty=1.5, logit_bias={2: 1.0}),
    ],
)
def test_a_reply_is_the_same_with_and_without_guesses(
    guess: Callable[[Sequence[int]], list[int]], params: SamplingParams
) -> None:
    for seed_offset in range(100):
        plain = plain_reply(params, seed_offset)
        assert verified_reply(params, seed_offset, guess) == plain
