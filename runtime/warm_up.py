"""The first passes of a model: what they alone cost is paid, and what passes cost is measured.

Kernels are chosen and buffers are made in a pass of a new shape, which no reply should wait for.
And how many guesses pay (``speculative.py``) depends on what further rows cost here: to guess that
would cost the first replies more than to measure it at load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.speculative import WIDTHS

NUM_ROUNDS = 2
"""The faster one counts: the first of a shape pays for more than its rows."""

Forward = Callable[[ForwardBatch], object]


def time_passes(
    forward: Forward, kv_cache: KVCache, *, numbers: Sequence[int], max_rows: int
) -> Mapping[int, float]:
    """Seconds of a pass by its number of rows; nothing of them stays in the cache.

    Args:
        forward: runs a pass to its end.
        kv_cache: lends the blocks; nobody else uses it meanwhile.
        numbers: of rows. More than a verify pass has are shared by several sequences.
        max_rows: no more fit a window.
    """
    seconds: dict[int, float] = {}
    for _ in range(NUM_ROUNDS):
        for num_rows in (rows for rows in numbers if rows <= max_rows):
            latest = _time_pass(forward, kv_cache, num_rows)
            seconds[num_rows] = min(latest, seconds.get(num_rows, latest))
    return seconds


def _time_pass(forward: Forward, kv_cache: KVCache, num_rows: int) -> float:
    per_sequence = min(num_rows, WIDTHS[-1])
    sequences = [kv_cache.open([0]) for _ in range(num_rows // per_sequence)]
    has_room = all(cached.reserve(per_sequence) for cached in sequences)
    assert has_room, "the pool is empty at load, and holds a window"
    rows = tuple(
        SequenceRows(
            block_table=cached.block_table,
            start=0,
            num_tokens=per_sequence,
            num_logits=per_sequence,
        )
        for cached in sequences
    )
    batch = ForwardBatch(input_ids=torch.zeros(num_rows, dtype=torch.int64), sequences=rows)
    begun = time.perf_counter()
    forward(batch)
    seconds = time.perf_counter() - begun
    for cached in sequences:
        cached.close()
    return seconds
