"""Kernels that quantise rows, against their PyTorch twins."""

from __future__ import annotations

import pytest
import torch

from rnj_agent.runtime.layers.layernorm import Update
from rnj_agent.runtime.quant.fp8 import quantize_tokens
from rnj_agent.runtime.quant.fp8_kernels import PlainFp8Kernels
from tests.runtime.kernels.fp8_cases import (
    BF16_STEP,
    NUM_SEEDS,
    assert_same_rows,
    random_norm,
    random_rows,
    shapes,
)
from tests.runtime.kernels.kernel_device import DEVICE

from rnj_agent.runtime.kernels.gpu.triton_fp8 import TritonFp8Kernels  # isort: skip - needs Triton

KERNELS = TritonFp8Kernels(overlap=False)
TWIN = PlainFp8Kernels()
MAX_ROWS = 3
"""Each is a program of its own."""
MAX_MOVED = 0.01
"""Of all numbers: sums in another order, and another exp, move few over a rounding's edge."""


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_quantised_rows_are_the_twins_bit_for_bit(seed: int) -> None:
    for num_rows, _, num_columns, rng in shapes(seed, max_rows=MAX_ROWS):
        x = random_rows(num_rows, num_columns, rng)
        assert_same_rows(KERNELS.quantize(x), quantize_tokens(x))


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_a_sums_norm_is_quantised_as_its_twins(seed: int) -> None:
    for num_rows, _, num_columns, rng in shapes(seed, max_rows=MAX_ROWS):
        x = random_rows(num_rows, num_columns, rng)
        y = random_rows(num_rows, num_columns, rng)
        y_norm = rng.choice((None, random_norm(num_columns)))
        update = rng.choice((None, Update(y, y_norm)))
        norm = random_norm(num_columns)
        total, rows = KERNELS.add_norm_quantize(x, update, norm)
        expected_total, expected = TWIN.add_norm_quantize(x, update, norm)
        torch.testing.assert_close(total, expected_total, rtol=BF16_STEP, atol=0.0)
        assert_same_rows(rows, expected, max_moved=MAX_MOVED)


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_a_gated_activation_is_quantised_as_its_twins(seed: int) -> None:
    for num_rows, _, num_columns, rng in shapes(seed, max_rows=MAX_ROWS):
        gate_up = random_rows(num_rows, 2 * num_columns, rng).clamp(-50, 50)
        activation = rng.choice(("silu", "gelu_pytorch_tanh"))
        rows = KERNELS.gate_quantize(gate_up, activation)
        assert_same_rows(rows, TWIN.gate_quantize(gate_up, activation), max_moved=MAX_MOVED)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_row_that_is_not_finite_stays_so_and_harms_no_other(bad: float) -> None:
    x = torch.randn(3, 40, device=DEVICE).bfloat16()
    x[1, 7] = bad
    rows, expected = KERNELS.quantize(x), quantize_tokens(x)
    assert_same_rows(rows, expected)
    assert not rows.scale[1].isfinite()
    assert (rows.scale * rows.data.float()).isfinite().all(dim=1).tolist() == [True, False, True]


def test_every_number_that_fp8_can_round_is_rounded_to_the_nearest() -> None:
    """All of bfloat16's positive numbers up to 448, in a row whose scale is 1."""
    x = torch.arange(0x43E1, dtype=torch.int16).view(torch.bfloat16)
    x = x.view(1, -1).to(DEVICE)
    assert x.max() == 448
    rows = KERNELS.quantize(x)
    assert rows.scale.item() == 1
    assert_same_rows(rows, quantize_tokens(x))


def test_no_rows_are_no_work() -> None:
    rows = KERNELS.quantize(torch.empty(0, 64, dtype=torch.bfloat16, device=DEVICE))
    assert rows.data.shape == (0, 64)


def test_rows_with_gaps_between_them_are_refused() -> None:
    x = torch.randn(4, 80, device=DEVICE).bfloat16()
    with pytest.raises(AssertionError):
        KERNELS.quantize(x[:, :40])
    with pytest.raises(AssertionError):
        KERNELS.gate_quantize(x[:, :40], "silu")
    with pytest.raises(AssertionError):
        KERNELS.add_norm_quantize(x, Update(x.t().contiguous().t(), None), random_norm(80))
