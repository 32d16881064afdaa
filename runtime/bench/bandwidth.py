"""How fast this machine reads memory: the ceiling of decoding, which reads every weight per token.

Method: one thread a core takes the maximum of its own contiguous part of a buffer of int8, 64 bytes
an instruction where the processor has AVX-512, so that reading is all there is to wait for. The
buffer is several times the largest cache and is read several times; the fastest pass counts.
NumPy asks for huge pages for it. Does not import torch.

``python -m rnj_agent.runtime.bench.bandwidth`` measures in a process of its own, so that the buffer
does not count as the caller's memory, and prints JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnj_agent.runtime.machine import available_memory_bytes, num_physical_cores

_MIB = 2**20
_CACHE_MULTIPLE = 8
_MIN_BUFFER_BYTES = 1024 * _MIB
_MAX_BUFFER_BYTES = 4096 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBandwidth:
    bytes_per_s: float
    """Of the fastest pass."""
    buffer_bytes: int
    num_threads: int
    num_passes: int

    @property
    def method(self) -> str:
        return (
            f"{self.num_threads} threads read {self.buffer_bytes / 2**30:.1f} GiB of int8 "
            f"(numpy max), the best of {self.num_passes} passes"
        )


def measure_read_bandwidth(*, buffer_bytes: int, duration_s: float) -> ReadBandwidth:
    """Read the buffer until the time is over, at least once."""
    num_threads = num_physical_cores()
    parts = np.array_split(np.empty(buffer_bytes, dtype=np.int8), num_threads)
    fastest_s, num_passes = float("inf"), 0
    with ThreadPoolExecutor(num_threads) as pool:
        _pass_s(pool, _fill, parts)  # pages exist once they are written
        deadline = time.perf_counter() + duration_s
        while num_passes == 0 or time.perf_counter() < deadline:
            fastest_s = min(fastest_s, _pass_s(pool, _read, parts))
            num_passes += 1
    return ReadBandwidth(
        bytes_per_s=buffer_bytes / fastest_s,
        buffer_bytes=buffer_bytes,
        num_threads=num_threads,
        num_passes=num_passes,
    )


def measure_in_child(*, duration_s: float) -> ReadBandwidth:
    """The same in another process.

    Raises:
        RuntimeError: that process failed, which is a bug.
    """
    argv = [sys.executable, "-m", "rnj_agent.runtime.bench.bandwidth", str(duration_s)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bandwidth.py: exit code {done.returncode}: {done.stderr[-500:]}")
    return ReadBandwidth(**json.loads(done.stdout))


def buffer_bytes_here() -> int:
    """Several times the largest cache, but no more than a quarter of the free memory."""
    wanted = min(
        max(_CACHE_MULTIPLE * _largest_cache_bytes(), _MIN_BUFFER_BYTES), _MAX_BUFFER_BYTES
    )
    return min(wanted, available_memory_bytes() // 4)


def _pass_s(
    pool: ThreadPoolExecutor,
    work: Callable[[npt.NDArray[np.int8]], object],
    parts: list[npt.NDArray[np.int8]],
) -> float:
    begun = time.perf_counter()
    list(pool.map(work, parts))
    return time.perf_counter() - begun


def _fill(part: npt.NDArray[np.int8]) -> None:
    part.fill(1)


def _read(part: npt.NDArray[np.int8]) -> object:
    return part.max()


def _largest_cache_bytes() -> int:
    """0 where the system does not tell."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max(
        (int(size.read_text().strip().removesuffix("K")) * 1024 for size in sizes), default=0
    )


if __name__ == "__main__":
    measured = measure_read_bandwidth(
        buffer_bytes=buffer_bytes_here(), duration_s=float(sys.argv[1])
    )
    print(json.dumps(asdict(measured)))
