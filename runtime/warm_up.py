"""The first passes of a model: what they alone cost is paid, and what passes cost is measured.

Kernels are chosen and buffers are made in a pass of a new shape, which no reply should wait for.
And how many guesses pay (``speculative.py``) depends on what further rows cost here: to guess that
would cost the first replies more than to measure it at load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rnj_agent.runtime.forward_batch import SequenceRows
from rnj_agent.runtime.kv_cache.cache import KVCache

NUM_ROWS = (1, 2, 4, 8, 16)
"""Of the passes: every verify width, and as many as a few sequences have together."""
NUM_ROUNDS = 2
"""The faster one counts: the first of a shape pays for more than its rows."""

Forward = Callable[[Sequence[int], Sequence[SequenceRows]], object]


def time_passes(forward: Forward, kv_cache: KVCache, *, max_rows: int) -> Mapping[int, float]:
    """Seconds of a pass by its number of rows; nothing of them stays in the cache.

    Args:
        forward: runs a pass over these tokens.
        kv_cache: lends the blocks; nobody else uses it meanwhile.
        max_rows: no more fit a window.
    """
    seconds: dict[int, float] = {}
    for _ in range(NUM_ROUNDS):
        for num_rows in (rows for rows in NUM_ROWS if rows <= max_rows):
            latest = _time_pass(forward, kv_cache, num_rows)
            seconds[num_rows] = min(latest, seconds.get(num_rows, latest))
    return seconds


def _time_pass(forward: Forward, kv_cache: KVCache, num_rows: int) -> float:
    cached = kv_cache.open([0])
    has_room = cached.reserve(num_rows)
    assert has_room, "the pool is empty at load, and holds a window"
    rows = SequenceRows(
        block_table=cached.block_table, start=0, num_tokens=num_rows, num_logits=num_rows
    )
    begun = time.perf_counter()
    forward([0] * num_rows, [rows])
    seconds = time.perf_counter() - begun
    cached.close()
    return seconds
