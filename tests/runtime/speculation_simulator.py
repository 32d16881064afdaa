"""Decoding with speculation without a model: the reply is known, passes have given costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rnj_agent.runtime.prompt_lookup import PromptLookup
from rnj_agent.runtime.speculative import SequenceSpeculation, SpeculationPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    speedup: float
    """Time without guesses over time with them."""
    reply_ids: list[int]
    widths: Counter[int]
    num_drafted: int
    num_accepted: int


def simulate(
    prompt_ids: Sequence[int],
    reply_ids: Sequence[int],
    pass_cost: Callable[[int], float],
    *,
    policy: SpeculationPolicy | None = None,
) -> SimulatedRun:
    """One sequence alone, greedy: a guess is accepted if the reply has the same token there."""
    policy = policy or SpeculationPolicy()
    lookup, state = PromptLookup(prompt_ids), SequenceSpeculation()
    replied: list[int] = []
    widths: Counter[int] = Counter()
    num_drafted = num_accepted = 0
    spent = 0.0
    while len(replied) < len(reply_ids):
        room = len(reply_ids) - len(replied) - 1
        draft = lookup.draft(min(policy.max_draft_tokens, room))
        width = policy.choose_width(draft, state, num_other_rows=0)
        guesses = draft.ids[: width - 1]
        expected = reply_ids[len(replied) : len(replied) + width]
        num_right = num_equal(guesses, expected)
        new_ids = expected[: num_right + 1]
        for token_id in new_ids:
            lookup.append(token_id)
        replied += new_ids
        spent += pass_cost(width)
        policy.observe_pass(width, pass_cost(width))
        if guesses:
            state.observe(draft.match_length, len(guesses), num_right)
        widths[width] += 1
        num_drafted += len(guesses)
        num_accepted += num_right
    return SimulatedRun(
        speedup=len(reply_ids) * pass_cost(1) / spent,
        reply_ids=replied,
        widths=widths,
        num_drafted=num_drafted,
        num_accepted=num_accepted,
    )


def num_equal(left: Sequence[int], right: Sequence[int]) -> int:
    """Tokens at the beginning that both have."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))


def zipf_text(length: int, *, vocab_size: int, rng: random.Random) -> list[int]:
    """Tokens with the frequencies of words, in no order."""
    weights = [1 / rank for rank in range(1, vocab_size + 1)]
    return rng.choices(range(vocab_size), weights, k=length)


def edited(
    source_ids: Sequence[int], *, mean_run: int, vocab_size: int, rng: random.Random
) -> list[int]:
    """The source with tokens replaced, put in and left out, after ``mean_run`` others each."""
    result: list[int] = []
    place = 0
    while place < len(source_ids):
        run = 1 + int(rng.expovariate(1 / mean_run))
        result += source_ids[place : place + run]
        place += run
        kind = rng.choice(("replace", "replace", "insert", "delete"))
        if kind != "delete":
            num_new = rng.randint(1, 3 if kind == "replace" else 8)
            result += zipf_text(num_new, vocab_size=vocab_size, rng=rng)
        if kind != "insert":
            place += rng.randint(1, 3 if kind == "replace" else 8)
    return result
