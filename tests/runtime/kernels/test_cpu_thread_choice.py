"""How many threads decode: all cores, unless fewer are clearly faster."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from rnj_agent.runtime.kernels.cpu.isa import Isa
from rnj_agent.runtime.kernels.cpu.thread_choice import (
    ThreadTrial,
    choose,
    measure_threads,
    pin_threads,
    thread_numbers,
)
from rnj_agent.runtime.kernels.cpu.threads import limit_pass_threads, pass_threads
from rnj_agent.runtime.machine import core_cpus
from tests.runtime.kernels.cpu_isas import ISAS, kernels_or_skip


@pytest.mark.parametrize(
    ("num_cores", "numbers"),
    [(1, (1,)), (2, (2, 1)), (4, (4, 3, 2, 1)), (6, (6, 4, 3, 1)), (64, (64, 48, 32, 16))],
)
def test_what_is_tried(num_cores: int, numbers: tuple[int, ...]) -> None:
    assert thread_numbers(num_cores) == numbers


@pytest.mark.parametrize(
    ("gigabytes_per_s", "chosen"),
    [
        ({8: 40.0, 6: 41.0, 4: 39.0, 2: 20.0}, 8),
        ({8: 40.0, 6: 44.0, 4: 46.0, 2: 20.0}, 4),
        ({1: 10.0}, 1),
    ],
)
def test_fewer_threads_have_to_be_clearly_faster(
    gigabytes_per_s: dict[int, float], chosen: int
) -> None:
    trials = [
        ThreadTrial(num_threads=number, bytes_per_s=speed)
        for number, speed in gigabytes_per_s.items()
    ]
    assert choose(trials).num_threads == chosen


@pytest.mark.parametrize(
    ("gigabytes_per_s", "chosen"),
    [
        ({(4, False): 40.0, (2, False): 39.0, (4, True): 43.0}, (4, False)),
        ({(4, False): 40.0, (2, False): 39.0, (4, True): 45.0}, (4, True)),
        ({(4, False): 30.0, (2, False): 39.0, (4, True): 41.0}, (2, False)),
    ],
)
def test_pinned_threads_have_to_be_faster_by_more(
    gigabytes_per_s: dict[tuple[int, bool], float], chosen: tuple[int, bool]
) -> None:
    trials = [
        ThreadTrial(num_threads=number, is_pinned=is_pinned, bytes_per_s=speed)
        for (number, is_pinned), speed in gigabytes_per_s.items()
    ]
    choice = choose(trials)
    assert (choice.num_threads, choice.is_pinned) == chosen


def places() -> list[str]:
    """Where each thread of this process may run."""
    found: list[str] = []
    for status in Path("/proc/self/task").glob("*/status"):
        with contextlib.suppress(OSError):  # it has just ended
            lines = status.read_text().splitlines()
            found += [line.split()[1] for line in lines if line.startswith("Cpus_allowed_list:")]
    return found


@pytest.mark.skipif(not core_cpus(), reason="the system does not say where threads may run")
def test_threads_are_pinned_and_let_go_and_the_calling_one_is_not() -> None:
    kernels = kernels_or_skip("plain")
    marks = np.zeros(8, dtype=np.uint8)
    mark = kernels.function("rnj_mark_parts", ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    mark(marks.ctypes.data, len(marks), 2)
    before, allowed, cpu = places(), os.sched_getaffinity(0), core_cpus()[-1]
    assert pin_threads(kernels, [0, cpu])
    assert os.sched_getaffinity(0) == allowed
    if len(allowed) > 1:
        assert places().count(str(cpu)) == before.count(str(cpu)) + 1
    mark(marks.ctypes.data, len(marks), 2)
    assert pin_threads(kernels, [])
    assert sorted(places()) == sorted(before)
    assert marks.tolist() == [2] * 8


def test_a_processor_that_is_not_there_is_refused() -> None:
    kernels = kernels_or_skip("plain")
    assert not pin_threads(kernels, [0, 10**6])
    assert pin_threads(kernels, [])


@pytest.fixture
def limit() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    limit_pass_threads(None)
    torch.set_num_threads(num_threads)


@pytest.mark.usefixtures("limit")
def test_the_limit_holds_for_few_rows_and_never_raises_the_number() -> None:
    limit_pass_threads(2)
    assert (pass_threads(1), pass_threads(512)) == (2, 4)
    limit_pass_threads(8)
    assert pass_threads(1) == 4
    limit_pass_threads(None)
    assert pass_threads(1) == 4


@pytest.mark.parametrize("isa", ISAS)
def test_a_machine_is_measured_in_every_instruction_set(
    isa: Isa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnj_agent.runtime.kernels.cpu.thread_choice._WEIGHT_BYTES", 1 << 20)
    measure_threads.cache_clear()
    choice = measure_threads(kernels_or_skip(isa))
    measure_threads.cache_clear()
    assert choice.num_threads in {trial.num_threads for trial in choice.trials}
    assert all(trial.bytes_per_s > 1e6 for trial in choice.trials)
