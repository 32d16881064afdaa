"""How many threads read the weights: measured on a product larger than the caches.

Decoding waits for memory, and a few cores can use all of its bandwidth up: on a machine with many,
or with slow ones among them, fewer threads are as fast or faster and leave the rest to the commands
that run beside. Prompts wait for arithmetic, so they keep all cores.

Threads are not pinned to cores: what is measured is taken as the system places them. Does not
import torch.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.packed import (
    GROUP,
    GROUP_BYTES,
    TILE_ROWS,
    PackedFormat,
    PackedRecord,
    SegmentRecord,
    packed_product,
    tile_bytes,
)
from rnj_agent.runtime.machine import available_memory_bytes, num_physical_cores

_WEIGHT_BYTES: Final = 192 << 20
"""More than the caches of most machines hold."""
_IN_FEATURES: Final = 4096
_ROUNDS: Final = 4
_GAIN: Final = 0.95
"""Fewer threads are taken where they need at most this share of the time of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTrial:
    num_threads: int
    bytes_per_s: float
    """Of packed weights, in the fastest product of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadChoice:
    num_threads: int
    trials: tuple[ThreadTrial, ...]
    """All that were tried, the most threads first."""


@cache
def measure_threads(kernels: Kernels) -> ThreadChoice:
    """Time one product with all cores and with fewer, in turn, so that a busy moment meets all.

    Takes about 0.2 s with two cores.
    """
    tile = tile_bytes(PackedFormat.Q4_K, _IN_FEATURES)
    num_tiles = max(1, min(_WEIGHT_BYTES, available_memory_bytes() // 8) // tile)
    seconds = _time_product(kernels, num_tiles, thread_numbers(num_physical_cores()))
    return choose(
        [
            ThreadTrial(num_threads=number, bytes_per_s=num_tiles * tile / fastest_s)
            for number, fastest_s in seconds.items()
        ]
    )


def thread_numbers(num_cores: int) -> tuple[int, ...]:
    """Worth trying, all cores first."""
    return tuple(dict.fromkeys(max(1, num_cores * share // 4) for share in (4, 3, 2, 1)))


def choose(trials: Sequence[ThreadTrial]) -> ThreadChoice:
    """All cores, unless fewer are clearly faster; of those, the fastest.

    Args:
        trials: not empty, the one with all cores first.
    """
    fastest = max(trials, key=lambda trial: trial.bytes_per_s)
    is_clear = trials[0].bytes_per_s < _GAIN * fastest.bytes_per_s
    chosen = fastest if is_clear else trials[0]
    return ThreadChoice(num_threads=chosen.num_threads, trials=tuple(trials))


def _time_product(kernels: Kernels, num_tiles: int, numbers: Sequence[int]) -> Mapping[int, float]:
    """Seconds of one row's product with a Q4_K weight, by the number of threads."""
    tile = tile_bytes(PackedFormat.Q4_K, _IN_FEATURES)
    num_rows = num_tiles * TILE_ROWS
    # pages exist once they are written, and as scales these bytes are small normal numbers
    tiles = np.full(num_tiles * tile, 0x11, dtype=np.uint8)
    segment = SegmentRecord(
        tiles=tiles.ctypes.data,
        tile_bytes=tile,
        format=PackedFormat.Q4_K,
        num_rows=num_rows,
    )
    packed = PackedRecord(
        segments=ctypes.addressof(segment),
        num_segments=1,
        in_features=_IN_FEATURES,
        out_features=num_rows,
    )
    x, y = np.ones(_IN_FEATURES, dtype=np.float32), np.empty(num_rows, dtype=np.float32)
    workspace = np.empty(_IN_FEATURES // GROUP * GROUP_BYTES, dtype=np.uint8)
    product = packed_product(kernels)

    def run(num_threads: int) -> None:
        buffers = (y.ctypes.data, workspace.ctypes.data)
        product(ctypes.addressof(packed), x.ctypes.data, 0, 1, *buffers, num_threads)

    return _fastest_s(run, numbers)


def _fastest_s(run: Callable[[int], None], numbers: Sequence[int]) -> Mapping[int, float]:
    fastest_s = dict.fromkeys(numbers, float("inf"))
    for _ in range(_ROUNDS):
        for number in numbers:
            begun = time.perf_counter()
            run(number)
            fastest_s[number] = min(fastest_s[number], time.perf_counter() - begun)
    return fastest_s
