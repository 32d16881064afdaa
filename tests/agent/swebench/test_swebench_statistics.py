from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.swebench.statistics import (
    mcnemar,
    nice_step,
    paired_difference,
    quantile,
    wilson,
)


@pytest.mark.parametrize(
    ("num_hits", "num", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_intervals_are_the_published_ones(
    num_hits: int, num: int, low: float, high: float
) -> None:
    assert wilson(num_hits, num) == pytest.approx((low, high), abs=6e-5)


def test_nothing_is_known_of_no_trials() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 3000).flatmap(lambda num: st.tuples(st.integers(0, num), st.just(num))))
def test_an_interval_holds_its_share(trial: tuple[int, int]) -> None:
    num_hits, num = trial
    low, high = wilson(num_hits, num)
    assert 0 <= low <= num_hits / num + 1e-12
    assert num_hits / num - 1e-12 <= high <= 1


@pytest.mark.parametrize(
    ("first", "second", "p_value"), [(0, 0, 1.0), (5, 0, 0.0625), (1, 9, 22 / 1024), (7, 7, 1.0)]
)
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int, p_value: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p_value)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_mcnemar_of_large_runs_is_a_number() -> None:
    assert 0 < mcnemar(900, 1100) < 1e-4


def test_the_difference_of_equal_runs_lies_around_nothing() -> None:
    low, high = paired_difference(12, 12, 100)
    assert low == pytest.approx(-high)
    assert paired_difference(0, 30, 100).low > 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_quantiles_lie_between_the_ends(values: list[float], fraction: float) -> None:
    assert min(values) - 1e-6 <= quantile(values, fraction) <= max(values) + 1e-6


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([], 0.5) == 0.0


@given(st.floats(1e-6, 1e9))
def test_steps_are_round_and_wide_enough(width: float) -> None:
    step = nice_step(width)
    assert width * (1 - 1e-6) <= step <= 2.6 * width
    digits = step / 10 ** math.floor(math.log10(step))
    assert min(abs(digits - each) for each in (1, 2, 2.5, 5, 10)) < 1e-6
