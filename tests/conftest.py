"""What holds for every test: calm threads, a terminal's signals, and no GPU tests without a GPU."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rnj_agent.runtime.machine import calm_worker_threads

calm_worker_threads()  # before torch: tests then take twice as long beside other work, not forever

NVIDIA_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
if not any(device.exists() for device in NVIDIA_DEVICES):
    # before Triton, which transformers imports: kernels are then interpreted, on CPU tensors
    os.environ.setdefault("TRITON_INTERPRET", "1")

_LONG = ("weights", "e2e")
"""Files of these, left to the end, would keep one worker waiting for the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first; those marked ``gpu`` are skipped where no GPU is.

    Torch is only asked where something is marked.
    """
    items.sort(key=lambda item: not any(map(item.get_closest_marker, _LONG)))
    marked = [item for item in items if item.get_closest_marker("gpu") is not None]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        reason = "no CUDA device: run `make gpu` on a machine that has one"
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """A shell starts background jobs with SIGINT ignored, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
