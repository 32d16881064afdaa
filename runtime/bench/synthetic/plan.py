"""What is measured of a synthetic model: the full plan, and one for tiny models."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.runtime.bench.synthetic.figure import GROUPS, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPlan:
    """Lengths are tokens. What the window or the cache has no room for is left out, and said."""

    prefill_tokens: tuple[int, ...] = (512, 2048, 8192, 32000)
    prefix_tokens: int = 8192
    """Of the prompt whose first token is timed, cold and with ``num_new_tokens`` behind it."""
    num_new_tokens: int = 200
    decode_contexts: tuple[int, ...] = (128, 1024, 8192, 30000)
    batch_sizes: tuple[int, ...] = (1, 8, 32, 128)
    num_decode_tokens: int = 64
    edit_prompt_tokens: int = 4096
    """Of the prompt whose reply repeats a part of it, edited."""
    num_edit_tokens: int = 1024
    """Of that reply."""
    num_rival_tokens: int = 64
    """Of the reply that a rival is compared by."""
    num_runs: int = 3
    only: frozenset[Group] = frozenset(GROUPS)


QUICK = SyntheticPlan(
    prefill_tokens=(512, 8192),
    decode_contexts=(1024,),
    batch_sizes=(1, 8, 32),
    num_decode_tokens=32,
    num_edit_tokens=512,
    num_runs=2,
)
CPU = SyntheticPlan(
    prefill_tokens=(512, 2048),
    prefix_tokens=2048,
    decode_contexts=(128, 1024, 4096),
    batch_sizes=(1, 4, 8),
    edit_prompt_tokens=1024,
    num_edit_tokens=256,
)
"""A processor reads a tenth as fast as a card, and multiplies a thousandth."""
CPU_QUICK = SyntheticPlan(
    prefill_tokens=(512,),
    prefix_tokens=1024,
    decode_contexts=(1024,),
    batch_sizes=(1, 8),
    num_decode_tokens=32,
    edit_prompt_tokens=512,
    num_edit_tokens=128,
    num_runs=2,
)
TINY = SyntheticPlan(
    prefill_tokens=(64, 256),
    prefix_tokens=256,
    num_new_tokens=32,
    decode_contexts=(64, 256),
    batch_sizes=(1, 4),
    num_decode_tokens=8,
    edit_prompt_tokens=384,
    num_edit_tokens=96,
    num_rival_tokens=16,
    num_runs=2,
)
"""For models whose window is 2,048 tokens."""
