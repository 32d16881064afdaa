"""FP8 weights and their products on a CPU, against the definition in float32."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnj_agent.runtime.quant import fp8_cpu
from rnj_agent.runtime.quant.fp8 import (
    FP8_DTYPE,
    FP8_MAX,
    Fp8Weight,
    fp8_linear_reference,
    has_nan,
    quantize_weight,
    widen,
    widen_weight_into,
)
from rnj_agent.runtime.quant.fp8_cpu import PADDED_ROWS, Fp8CpuLinear, Fp8WideningBuffer
from rnj_agent.runtime.quantize.fp8_dynamic import quantize_channels

EVERY = torch.arange(256, dtype=torch.uint8).view(FP8_DTYPE)
DTYPES = [torch.bfloat16, torch.float32]


def random_weight(num_rows: int = 48, num_columns: int = 96, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(num_rows, num_columns, generator=generator)
    return weight * torch.logspace(-3, 1, num_rows)[:, None]


def layer(weight: Fp8Weight, bias: Tensor | None = None, *, w8a8: bool = False) -> Fp8CpuLinear:
    return Fp8CpuLinear(*weight, Fp8WideningBuffer(), bias, quantize_activations=w8a8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_widening_is_exact(dtype: torch.dtype) -> None:
    numbers = EVERY[~EVERY.float().isnan()]
    assert torch.equal(widen(numbers, dtype).float(), numbers.float())


def test_nan_is_found_wherever_it_is() -> None:
    data = torch.zeros(3000, 40).to(FP8_DTYPE)
    data[-1, -1] = FP8_MAX
    assert not has_nan(data)
    for row, byte in ((0, 0x7F), (1500, 0xFF), (2999, 0x7F)):
        damaged = data.clone()
        damaged.view(torch.uint8)[row, 13] = byte
        assert has_nan(damaged)


def test_quantising_rounds_to_half_a_step_of_each_row() -> None:
    weight = random_weight(1500, 64)
    rows = quantize_weight(weight)
    widened = torch.empty_like(weight)
    widen_weight_into(widened, rows)
    # 3 bits of mantissa; below 2^-6 of the scale, steps of 2^-9; the scale is rounded to bfloat16
    bound = (weight.abs() * 2**-4).maximum(rows.scale[:, None] * 2**-10) * 1.01
    assert bool(((widened - weight).abs() <= bound).all())


def test_zeros_stay_zero_and_their_scale_is_positive() -> None:
    rows = quantize_weight(torch.zeros(2, 8))
    assert not rows.data.float().any()
    assert bool((rows.scale > 0).all())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_shows_in_the_scale(value: float) -> None:
    weight = random_weight()
    weight[5, 5] = value
    assert (~quantize_weight(weight).scale.isfinite()).nonzero().flatten().tolist() == [5]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16])
def test_what_is_made_at_load_is_what_the_tool_writes(dtype: torch.dtype) -> None:
    weight = random_weight(300, 200).to(dtype)
    weight[7] = 0
    loaded, written = quantize_weight(weight), quantize_channels(weight)
    assert torch.equal(loaded.data.view(torch.uint8), written.data.view(torch.uint8))
    assert torch.equal(loaded.scale, written.scale.float().flatten())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_rows", [1, 2, 8, 9, 40])
@pytest.mark.parametrize("with_bias", [False, True])
def test_equals_the_product_with_the_widened_weight(
    dtype: torch.dtype, num_rows: int, with_bias: bool
) -> None:
    torch.manual_seed(num_rows)
    bias = torch.randn(48).to(dtype) if with_bias else None
    weight = quantize_weight(random_weight())
    x = torch.randn(num_rows, 96).to(dtype)
    expected = x.float() @ (weight.data.float() * weight.scale[:, None]).T
    expected = expected if bias is None else expected + bias.float()
    y = layer(weight, bias)(x)
    assert y.dtype == dtype
    rtol = 2**-7 if dtype == torch.bfloat16 else 1e-5
    largest = weight.scale * FP8_MAX * x.abs().max()
    # the product is rounded before the bias is added, which may cancel it
    bound = rtol * (expected.abs() + (0.0 if bias is None else bias.float().abs()))
    assert bool(((y.float() - expected).abs() <= bound + 1e-3 * largest).all())


@settings(max_examples=40, deadline=None)
@given(
    num_rows=st.integers(1, 20),
    num_columns=st.integers(1, 70),
    out_features=st.integers(1, 70),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
def test_emulated_w8a8_is_the_reference(
    num_rows: int, num_columns: int, out_features: int, dtype: torch.dtype, seed: int
) -> None:
    weight = quantize_weight(random_weight(out_features, num_columns, seed=seed))
    x = (random_weight(num_rows, num_columns, seed=seed + 1) * 9).to(dtype)
    bias = random_weight(out_features, 1)[:, 0].to(dtype)
    expected = fp8_linear_reference(x, *weight, bias)
    rtol = 2**-7 if dtype == torch.bfloat16 else 1e-5
    y = layer(weight, bias, w8a8=True)(x)
    assert torch.allclose(y.float(), expected.float(), rtol=rtol, atol=1e-4)


@pytest.mark.parametrize("w8a8", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(48, 96), (300, 64), (64, 1000)])
def test_few_rows_have_the_bits_of_each_alone(
    dtype: torch.dtype, w8a8: bool, shape: tuple[int, int]
) -> None:
    product = layer(quantize_weight(random_weight(*shape)), w8a8=w8a8)
    x = torch.randn(PADDED_ROWS, shape[1]).to(dtype)
    alone = torch.cat([product(row[None]) for row in x])
    for first in range(3):
        for num_rows in range(1, PADDED_ROWS - first + 1):
            rows = slice(first, first + num_rows)
            assert torch.equal(product(x[rows]), alone[rows])


@pytest.mark.parametrize("w8a8", [False, True])
def test_nan_in_activations_stays_in_its_row(w8a8: bool) -> None:
    product = layer(quantize_weight(random_weight()), w8a8=w8a8)
    x = torch.randn(3, 96)
    x[1, 4] = float("nan")
    assert product(x).isnan().all(dim=1).tolist() == [False, True, False]


@pytest.mark.parametrize("num_rows", [3, 40])
def test_weights_larger_than_the_buffer_are_widened_in_parts(
    monkeypatch: pytest.MonkeyPatch, num_rows: int
) -> None:
    weight = quantize_weight(random_weight())
    x = torch.randn(num_rows, 96)
    whole = layer(weight)(x)
    monkeypatch.setattr(fp8_cpu, "BUFFER_WEIGHTS", 96 * 7)
    assert torch.allclose(layer(weight)(x), whole, rtol=1e-5, atol=1e-5)


def test_its_size_is_that_of_weights_and_scales() -> None:
    assert layer(quantize_weight(random_weight(48, 96))).size_bytes == 48 * 96 + 48 * 4
