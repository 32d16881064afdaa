"""How many threads read the weights: measured on a product larger than the caches.

Decoding waits for memory, and a few cores can use all of its bandwidth up: on a machine with many,
or with slow ones among them, fewer threads are as fast or faster and leave the rest to the commands
that run beside. Prompts wait for arithmetic, so they keep all cores.

Where the threads run is the system's choice, too, unless it is clearly faster to keep each on a
core: a machine with slow cores among its fast ones may move them about. Does not import torch.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

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
from rnj_agent.runtime.machine import available_memory_bytes, core_cpus, num_physical_cores

_WEIGHT_BYTES: Final = 192 << 20
"""More than the caches of most machines hold."""
_IN_FEATURES: Final = 4096
_ROUNDS: Final = 4
_GAIN: Final = 0.95
"""Fewer threads are taken where they need at most this share of the time of all."""
_PINNED_GAIN: Final = 0.9
"""As ``_GAIN``, of threads that are kept where they are: they cannot make way for other work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTrial:
    num_threads: int
    is_pinned: bool = False
    """Whether each was kept on one core."""
    bytes_per_s: float
    """Of packed weights, in the fastest product of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadChoice:
    num_threads: int
    is_pinned: bool = False
    trials: tuple[ThreadTrial, ...]
    """All that were tried, the most threads first."""


@cache
def measure_threads(kernels: Kernels) -> ThreadChoice:
    """Time one product with all cores and with fewer, in turn, so that a busy moment meets all.

    Takes about 0.3 s with two cores. The kernels' threads are pinned afterwards as it was chosen.
    """
    tile = tile_bytes(PackedFormat.Q4_K, _IN_FEATURES)
    num_tiles = max(1, min(_WEIGHT_BYTES, available_memory_bytes() // 8) // tile)
    numbers = thread_numbers(num_physical_cores())
    settings = [(number, False) for number in numbers]
    settings += [(number, True) for number in numbers[:1] if number > 1 and core_cpus()]
    seconds = _time_product(kernels, num_tiles, settings)
    choice = choose(
        [
            ThreadTrial(
                num_threads=number,
                is_pinned=is_pinned,
                bytes_per_s=num_tiles * tile / fastest_s,
            )
            for (number, is_pinned), fastest_s in seconds.items()
            if fastest_s < float("inf")  # the system may not let threads be pinned
        ]
    )
    pin_threads(kernels, core_cpus() if choice.is_pinned else ())
    return choice


def pin_threads(kernels: Kernels, cpus: Sequence[int]) -> bool:
    """Keep the kernels' threads on these processors, the calling one left out, who has the first.

    Args:
        kernels: whose threads.
        cpus: empty: wherever the system has them.

    Returns:
        Whether the system did so.
    """
    places = np.array(cpus[1:], dtype=np.int32)
    done = np.zeros(1, dtype=np.int32)
    pointer = ctypes.c_void_p
    pin = kernels.function("rnj_pin_threads", pointer, ctypes.c_int, pointer)
    pin(places.ctypes.data, len(places), done.ctypes.data)
    return bool(done[0])


def thread_numbers(num_cores: int) -> tuple[int, ...]:
    """Worth trying, all cores first."""
    return tuple(dict.fromkeys(max(1, num_cores * share // 4) for share in (4, 3, 2, 1)))


def choose(trials: Sequence[ThreadTrial]) -> ThreadChoice:
    """All cores, unless fewer are clearly faster; of those, the fastest. Pinned, if that is faster.

    Args:
        trials: not empty, the one with all cores first, which is not pinned.
    """
    chosen = trials[0]
    for is_pinned, gain in ((False, _GAIN), (True, _PINNED_GAIN)):
        rivals = [trial for trial in trials if trial.is_pinned == is_pinned]
        fastest = max(rivals, key=lambda trial: trial.bytes_per_s, default=chosen)
        if chosen.bytes_per_s < gain * fastest.bytes_per_s:
            chosen = fastest
    return ThreadChoice(
        num_threads=chosen.num_threads, is_pinned=chosen.is_pinned, trials=tuple(trials)
    )


_Setting: TypeAlias = tuple[int, bool]
"""The number of threads, and whether they are pinned."""


def _time_product(
    kernels: Kernels, num_tiles: int, settings: Sequence[_Setting]
) -> Mapping[_Setting, float]:
    """Seconds of one row's product with a Q4_K weight."""
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

    fastest_s = dict.fromkeys(settings, float("inf"))
    for _ in range(_ROUNDS):
        for number, is_pinned in settings:
            if is_pinned and not pin_threads(kernels, core_cpus()):
                continue
            begun = time.perf_counter()
            run(number)
            seconds = time.perf_counter() - begun
            fastest_s[number, is_pinned] = min(fastest_s[number, is_pinned], seconds)
            if is_pinned:
                pin_threads(kernels, ())
    return fastest_s
