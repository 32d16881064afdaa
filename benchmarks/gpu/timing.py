"""Times short kernels: many calls in one graph, over more data than the caches hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rnj_agent.runtime.bench.synthetic.clock import median_s, run_s

CACHE_MULTIPLE = 8
L2_BYTES = 60 * 2**20
"""Of an H200."""


def num_copies(size_bytes: int, *, dry_run: bool) -> int:
    """Of an operand, so that none is found in the cache when its turn comes again."""
    return 1 if dry_run else max(1, -(-CACHE_MULTIPLE * L2_BYTES // size_bytes))


def seconds_each(calls: Sequence[Callable[[], object]], device: torch.device) -> float:
    """Of one call, when they follow each other without Python in between."""
    if device.type != "cuda":
        return run_s(lambda: [call() for call in calls], device) / len(calls)
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):
        for call in calls[:1]:  # compiled before it is recorded
            call()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for call in calls:
            call()
    return median_s(graph.replay, device) / len(calls)
