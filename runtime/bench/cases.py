"""The measurements: what is generated, and which figures come of it.

Every run that must be cold has a salt of its own, so nothing needs to be reset, and both
contestants meet the same prompts in the same order.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rnj_agent.runtime.bench.contestant import Contestant
from rnj_agent.runtime.bench.prompts import Prompts

Group: TypeAlias = Literal["load", "prefill", "ttft", "decode", "batch", "memory", "bandwidth"]
GROUPS: Final[tuple[Group, ...]] = (
    "load",
    "prefill",
    "ttft",
    "decode",
    "batch",
    "memory",
    "bandwidth",
)
Unit: TypeAlias = Literal["tokens/s", "s", "GiB", "GB/s"]
Measure: TypeAlias = Callable[[Contestant, Prompts, int], tuple[float, ...]]
"""(contestant, prompts, number of the run) -> one value for each spec."""

NUM_TAILS: Final = 3
"""Tails that one cold prompt is asked with: they are quick, and a cold prompt is not."""
SALTS_PER_CASE: Final = 16
"""Runs of a case, or sequences of a batch, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSpec:
    name: str
    unit: Unit
    contexts: tuple[int, ...] = ()
    """Of decode figures: cached tokens of each sequence of a pass, for the bytes it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    group: Group
    specs: tuple[FigureSpec, ...]
    num_context_tokens: int
    """Prompt and reply of one sequence."""
    measure: Measure
    num_slots: int = 1
    """How many sequences the rival is to have room for at a time."""

    @property
    def name(self) -> str:
        return self.specs[0].name


def prefill(num_tokens: int, *, salt: int) -> Case:
    """A prompt that nothing is known of, by itself."""

    def measure(contestant: Contestant, prompts: Prompts, run: int) -> tuple[float, ...]:
        prompt_ids = prompts.prompt(num_tokens, salt=salt + run)
        (reply,) = contestant.generate([prompt_ids], num_tokens=1).replies
        return (num_tokens / reply.ttft_s,)

    spec = FigureSpec(name=f"prefill {num_tokens}", unit="tokens/s")
    return Case(group="prefill", specs=(spec,), num_context_tokens=num_tokens + 1, measure=measure)


def first_token(num_prefix_tokens: int, *, num_new_tokens: int, salt: int) -> Case:
    """A cold prompt, then the same with new tokens behind it, as an agent's step does."""

    def measure(contestant: Contestant, prompts: Prompts, run: int) -> tuple[float, ...]:
        prefix_ids = prompts.prompt(num_prefix_tokens, salt=salt + run)
        (cold,) = contestant.generate([prefix_ids], num_tokens=1).replies
        cached_s: list[float] = []
        for number in range(NUM_TAILS):
            tail_ids = prompts.tail(num_new_tokens, salt=number)
            (reply,) = contestant.generate([prefix_ids + tail_ids], num_tokens=1).replies
            cached_s.append(reply.ttft_s)
        return cold.ttft_s, statistics.median(cached_s)

    return Case(
        group="ttft",
        specs=(
            FigureSpec(name=f"ttft {num_prefix_tokens} cold", unit="s"),
            FigureSpec(name=f"ttft {num_prefix_tokens} cached + {num_new_tokens}", unit="s"),
        ),
        num_context_tokens=num_prefix_tokens + num_new_tokens + 1,
        measure=measure,
    )


def decode(context: int, *, num_tokens: int, salt: int) -> Case:
    """A reply behind so many tokens; that they are cached from the second run on changes nothing.

    With the salt of a longer prompt it is the beginning of that one, which may be cached already.
    """

    def measure(contestant: Contestant, prompts: Prompts, run: int) -> tuple[float, ...]:
        prompt_ids = prompts.prompt(context, salt=salt)
        (reply,) = contestant.generate([prompt_ids], num_tokens=num_tokens).replies
        return (reply.decode_tokens_per_s,)

    spec = FigureSpec(name=f"decode at {context}", unit="tokens/s", contexts=(context,))
    return Case(
        group="decode", specs=(spec,), num_context_tokens=context + num_tokens, measure=measure
    )


def batch(num_seqs: int, *, num_slots: int, context: int, num_tokens: int, salt: int) -> Case:
    """Replies to different prompts at once; the prompts are cached before the clock runs.

    All batches of a plan have the same number of slots, so that they meet the same rival.
    """

    def measure(contestant: Contestant, prompts: Prompts, run: int) -> tuple[float, ...]:
        prompt_ids = [prompts.prompt(context, salt=salt + i) for i in range(num_seqs)]
        contestant.generate(prompt_ids, num_tokens=1)
        replies = contestant.generate(prompt_ids, num_tokens=num_tokens)
        each = statistics.median(reply.decode_tokens_per_s for reply in replies.replies)
        return replies.decode_tokens_per_s, each

    return Case(
        group="batch",
        specs=(
            FigureSpec(
                name=f"batch {num_seqs}, all", unit="tokens/s", contexts=(context,) * num_seqs
            ),
            FigureSpec(name=f"batch {num_seqs}, each", unit="tokens/s"),
        ),
        num_context_tokens=context + num_tokens,
        measure=measure,
        num_slots=num_slots,
    )
