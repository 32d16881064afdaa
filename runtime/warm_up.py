"""The first passes of a model: what they alone cost is paid, and what passes cost is measured.

Kernels are chosen and buffers are made in a pass of a new shape, which no reply should wait for.
And how many guesses pay (``speculative.py``) depends on what further rows cost here: to guess that
would cost the first replies more than to measure it at load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product

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
            per_sequence = min(num_rows, WIDTHS[-1])
            latest = _time_pass(forward, kv_cache, [per_sequence] * (num_rows // per_sequence))
            if latest is not None:
                seconds[num_rows] = min(latest, seconds.get(num_rows, latest))
    return seconds


def run_prompts(forward: Forward, kv_cache: KVCache, *, numbers: Sequence[int]) -> None:
    """Run passes with prompts' rows, alone and beside sequences that decode or verify.

    Args:
        forward: runs a pass to its end.
        kv_cache: lends the blocks; nobody else uses it meanwhile.
        numbers: of a prompt's rows.
    """
    for num_rows, num_others in product(numbers, (0, 1, 2)):
        _time_pass(forward, kv_cache, [*[1] * num_others, num_rows])


def _time_pass(forward: Forward, kv_cache: KVCache, lengths: Sequence[int]) -> float | None:
    """Seconds; None: there is no room for so many sequences."""
    with _new_sequences(kv_cache, lengths) as batch:
        if batch is None:
            return None
        begun = time.perf_counter()
        forward(batch)
        return time.perf_counter() - begun


@contextmanager
def _new_sequences(
    kv_cache: KVCache, lengths: Sequence[int]
) -> Generator[ForwardBatch | None, None, None]:
    """Of so many rows each, with the logits of the last ones; None: there is no room."""
    sequences = [kv_cache.open([0]) for _ in lengths]
    rooms = zip(sequences, lengths, strict=True)
    try:
        if not all(cached.reserve(num_rows) for cached, num_rows in rooms):
            yield None
            return
        rows = tuple(
            SequenceRows(
                block_table=cached.block_table,
                start=0,
                num_tokens=num_rows,
                num_logits=min(num_rows, WIDTHS[-1]),
            )
            for cached, num_rows in zip(sequences, lengths, strict=True)
        )
        token_ids = torch.zeros(sum(lengths), dtype=torch.int64)
        yield ForwardBatch(input_ids=token_ids, sequences=rows)
    finally:
        for cached in sequences:
            cached.close()
