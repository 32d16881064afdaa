from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.guard import LoopGuard, judge


def stops_after(pattern: list[int]) -> int:
    """How many calls of an endlessly repeated pattern it takes to be stopped."""
    seen: list[int] = []
    while not judge(seen).stop:
        seen.append(pattern[len(seen) % len(pattern)])
        assert len(seen) < 100
    return len(seen)


@pytest.mark.parametrize(("pattern", "length"), [([1], 5), ([1, 2], 8), ([1, 2, 3], 12)])
def test_a_repeated_pattern_is_stopped(pattern: list[int], length: int):
    assert stops_after(pattern) == length


def test_the_second_time_is_nudged_and_the_third_heats_up():
    guard = LoopGuard()
    verdicts = [guard.observe("bash ls", "a.py") for _ in range(5)]
    assert [bool(verdict.nudge) for verdict in verdicts] == [False, True, True, True, True]
    assert [verdict.temperature for verdict in verdicts[:4]] == [None, 0.7, 1.0, 1.0]
    assert [verdict.stop for verdict in verdicts] == [False, False, False, False, True]


def test_another_call_cools_down_again():
    guard = LoopGuard()
    for _ in range(4):
        guard.observe("bash ls", "a.py")
    assert guard.temperature == 1.0
    guard.observe("bash pwd", "/workspace")
    assert guard.temperature is None


def test_results_that_differ_only_in_time_are_the_same():
    guard = LoopGuard()
    guard.observe("bash pytest", "1 failed in 0.31s at 0x7f3a2b1c")
    assert guard.observe("bash pytest", "1 failed in 0.29s at 0x7f3a2b2d").nudge


def test_the_same_call_with_another_result_is_progress():
    guard = LoopGuard()
    guard.observe("bash pytest", "2 failed")
    assert not guard.observe("bash pytest", "1 failed").nudge


@given(st.lists(st.integers(), unique=True, max_size=60))
def test_what_never_repeats_is_left_alone(seen: list[int]):
    assert judge(seen).nudge == ""
    assert not judge(seen).stop


SEEN = st.lists(st.integers(0, 3), max_size=20)
PATTERN = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@given(prefix=SEEN, pattern=PATTERN)
def test_every_short_cycle_is_stopped_whatever_came_before(prefix: list[int], pattern: list[int]):
    seen = prefix + [pattern[number % len(pattern)] for number in range(12)]
    assert judge(seen).stop


@given(st.lists(st.integers(0, 2), max_size=40))
def test_nobody_is_stopped_without_a_nudge_first(seen: list[int]):
    for end in range(1, len(seen) + 1):
        if judge(seen[:end]).stop:
            assert judge(seen[: end - 1]).nudge
            return
