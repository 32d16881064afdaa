"""What a run of the benchmark measures: the full plan, and the quick one."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from itertools import count

from rnj_agent.runtime.bench.cases import (
    GROUPS,
    SALTS_PER_CASE,
    Case,
    Group,
    batch,
    decode,
    first_token,
    prefill,
)

MIN_CONTEXT = 1024
"""Tokens of the window where nothing that is measured needs one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    prefill_tokens: tuple[int, ...] = (512, 2048)
    prefix_tokens: tuple[int, ...] = (3000, 6000)
    """Of the prompts whose first token is timed, cold and with ``num_new_tokens`` behind them."""
    num_new_tokens: int = 200
    decode_contexts: tuple[int, ...] = (128, 4096)
    num_decode_tokens: int = 32
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8)
    batch_context: int = 128
    num_batch_tokens: int = 16
    num_runs: int = 3
    """Each figure is the median of so many runs at most,"""
    case_budget_s: float = 15.0
    """and of fewer, but at least one, where they take longer than this, both contestants together:
    the longer a run, the less its noise."""
    bandwidth_s: float = 3.0
    """For each of the two measurements of the read bandwidth, before and after."""
    only: frozenset[Group] = frozenset(GROUPS)

    @property
    def num_context_tokens(self) -> int:
        """What the window must hold."""
        return max((case.num_context_tokens for case in self.cases()), default=MIN_CONTEXT)

    @property
    def num_batch_context_tokens(self) -> int:
        """Of all sequences of the largest batch together."""
        each = self.batch_context + self.num_batch_tokens
        return max(self.batch_sizes, default=0) * each

    def cases(self) -> list[Case]:
        """In an order in which ``decode`` finds its long prompt in the cache, as a cold one left
        it.
        """
        salts = count(0, SALTS_PER_CASE)
        cases = [prefill(num_tokens, salt=next(salts)) for num_tokens in self.prefill_tokens]
        session_salt = 0
        for num_tokens in sorted(self.prefix_tokens):
            session_salt = next(salts)
            cases.append(
                first_token(num_tokens, num_new_tokens=self.num_new_tokens, salt=session_salt)
            )
        cases += [
            decode(context, num_tokens=self.num_decode_tokens, salt=session_salt)
            for context in sorted(self.decode_contexts, reverse=True)
        ]
        batch_salt = next(salts)
        cases += [
            batch(
                size,
                num_slots=max(self.batch_sizes),
                context=self.batch_context,
                num_tokens=self.num_batch_tokens,
                salt=batch_salt,
            )
            for size in self.batch_sizes
        ]
        return [case for case in cases if case.group in self.only]


def full_plan(only: Set[Group] = frozenset(GROUPS)) -> Plan:
    """Some six minutes for 1.5 B parameters on two cores, with a rival."""
    return Plan(only=frozenset(only))


def quick_plan(only: Set[Group] = frozenset(GROUPS)) -> Plan:
    """One to two minutes for the same."""
    return Plan(
        prefill_tokens=(512,),
        prefix_tokens=(1500,),
        decode_contexts=(128,),
        num_decode_tokens=16,
        batch_sizes=(1, 4),
        num_batch_tokens=8,
        num_runs=2,
        case_budget_s=3.0,
        bandwidth_s=1.0,
        only=frozenset(only),
    )
