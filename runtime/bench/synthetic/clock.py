"""Seconds of work on a device: by its own clock, where it has one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def median_s(work: Callable[[], object], device: torch.device) -> float:
    """Of one call, after two that do not count; of fewer where they take long."""
    num_runs = 10 if device.type == "cuda" else 3
    for _ in range(2):
        work()
    return statistics.median(run_s(work, device) for _ in range(num_runs))


def run_s(work: Callable[[], object], device: torch.device) -> float:
    """Of this call, from an idle device until what it started has ended."""
    if device.type != "cuda":
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun
    begun_event, ended_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begun_event.record()
    work()
    ended_event.record()
    ended_event.synchronize()
    return begun_event.elapsed_time(ended_event) / 1000.0


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
