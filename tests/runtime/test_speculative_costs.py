"""Relative costs of passes are learned from neighbours in time; one odd pass is not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.runtime.pass_cost import PRIOR_PER_ROW, PassCost

INT8_CPU_MS = {1: 151.0, 2: 147.0, 3: 184.0, 4: 200.0, 8: 370.0}
"""1.31e9 int8 weights on two cores with AVX-512 (torch 2.13)."""


def test_before_anything_is_measured_each_row_costs_a_little() -> None:
    cost = PassCost()
    assert cost.relative(1) == 1.0
    assert cost.relative(5) == pytest.approx(1.0 + 4 * PRIOR_PER_ROW)


def test_ratios_are_learned_from_passes_that_alternate() -> None:
    cost = PassCost()
    for _ in range(6):
        for num_rows, milliseconds in INT8_CPU_MS.items():
            cost.observe(num_rows, milliseconds / 1000)
    for num_rows, milliseconds in INT8_CPU_MS.items():
        ratio = cost.relative(num_rows) / cost.relative(1)
        assert ratio == pytest.approx(milliseconds / INT8_CPU_MS[1], rel=1e-6)
    between = cost.relative(6) / cost.relative(1)
    assert between == pytest.approx((200 + 370) / 2 / 151, rel=1e-6)


def test_a_drift_of_all_costs_changes_no_ratio() -> None:
    cost = PassCost()
    seconds = 0.1
    for step in range(400):
        num_rows = 4 if step % 10 else 1
        seconds *= 1.01
        cost.observe(num_rows, seconds * (1.3 if num_rows == 4 else 1.0))
    assert cost.relative(4) / cost.relative(1) == pytest.approx(1.3, rel=0.02)


@pytest.mark.parametrize("when", [0, 2, 5])
def test_one_odd_pass_is_not_believed(when: int) -> None:
    cost = PassCost()
    for step in range(6):
        cost.observe(1, 0.1)
        cost.observe(4, 5.0 if step == when else 0.13)
    cost.observe(1, 0.1)
    assert cost.relative(4) / cost.relative(1) == pytest.approx(1.3, rel=0.01)


@given(
    passes=st.lists(st.tuples(st.integers(1, 70), st.floats(0.0, 100.0)), max_size=60),
    num_rows=st.integers(1, 200),
)
def test_every_number_of_rows_has_a_cost_above_zero(
    passes: list[tuple[int, float]], num_rows: int
) -> None:
    cost = PassCost()
    for rows, seconds in passes:
        cost.observe(rows, seconds)
    assert cost.relative(num_rows) > 0


def test_measured_costs_count_from_the_start_and_are_learned_further() -> None:
    cost = PassCost()
    cost.calibrate({1: 0.2, 2: 0.2, 4: 0.24, 8: 0.5, 16: 0.7})
    assert cost.relative(4) == pytest.approx(1.2)
    assert cost.relative(6) == pytest.approx((1.2 + 2.5) / 2)
    assert cost.relative(20) > cost.relative(16)
    for _ in range(9):
        cost.observe(1, 0.2)
        cost.observe(4, 0.4)
    assert cost.relative(4) == pytest.approx(2.0, rel=0.02)
