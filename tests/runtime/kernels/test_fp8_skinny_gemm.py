"""The product of few rows with an FP8 or plain weight, against its definition."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.quant.fp8 import Fp8Weight, quantize_tokens
from rnj_agent.runtime.quant.fp8_plan import SkinnyConfig
from tests.runtime.kernels.fp8_cases import (
    BF16_STEP,
    NUM_SEEDS,
    random_fp8_weight,
    random_rows,
    shapes,
)
from tests.runtime.kernels.kernel_device import DEVICE

from rnj_agent.runtime.kernels.gpu.skinny_product import (  # isort: skip - needs Triton
    Activations,
    Weight,
    counters,
    skinny_product,
)

SUM_STEP = 2.0**-10 if DEVICE.type == "cuda" else 2.0**-20
"""Of all magnitudes that a sum adds: Hopper's FP8 instructions keep fewer bits than float32."""


def random_config(rng: random.Random, *, weight_first: bool) -> SkinnyConfig:
    return SkinnyConfig(
        split_k=rng.choice((1, 1, 2, 3)),
        block_n=rng.choice((64, 128, 128)),
        block_k=rng.choice((128, 256, 256)),
        weight_first=weight_first,
        num_stages=3,
    )


def assert_product(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Compare with x @ weight.T + bias, both in float32 here: the result is rounded once."""
    exact = x.double() @ weight.double().t()
    magnitudes = x.double().abs() @ weight.double().abs().t()
    if bias is not None:
        exact += bias.double()
    assert y.dtype == torch.bfloat16
    assert ((y.double() - exact).abs() <= BF16_STEP * exact.abs() + SUM_STEP * magnitudes).all()


def random_bias(num_features: int, rng: random.Random) -> Tensor | None:
    return rng.choice((None, torch.randn(num_features, device=DEVICE).bfloat16()))


def widened(weight: Fp8Weight) -> Tensor:
    return weight.data.float() * weight.scale[:, None]


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_fp8_with_fp8(seed: int) -> None:
    """Quantised before, and on the way, which is the same."""
    for num_rows, num_features, num_columns, rng in shapes(seed):
        x = random_rows(num_rows, num_columns, rng)
        rows = quantize_tokens(x)
        weight, bias = random_fp8_weight(num_features, num_columns), random_bias(num_features, rng)
        config = random_config(rng, weight_first=rng.random() < 0.5)
        y = skinny_product(Activations(*rows), Weight(*weight, bias), config)
        assert_product(y, rows.data.double() * rows.scale, widened(weight), bias)
        if rng.random() < 0.15:
            on_the_way = Activations(x, None, quantize=True)
            assert torch.equal(skinny_product(on_the_way, Weight(*weight, bias), config), y)


@pytest.mark.parametrize("seed", [0, 1])
def test_16_bits_with_fp8(seed: int) -> None:
    """For cards without FP8: the weight is widened, the activations are as they were."""
    for num_rows, num_features, num_columns, rng in shapes(seed):
        x = random_rows(num_rows, num_columns, rng)
        weight, bias = random_fp8_weight(num_features, num_columns), random_bias(num_features, rng)
        config = random_config(rng, weight_first=False)
        y = skinny_product(Activations(x, None), Weight(*weight, bias), config)
        assert_product(y, x, widened(weight), bias)


@pytest.mark.parametrize("seed", [0, 1])
def test_16_bits_with_16_bits(seed: int) -> None:
    for num_rows, num_features, num_columns, rng in shapes(seed):
        x = random_rows(num_rows, num_columns, rng)
        weight = torch.randn(num_features, num_columns, device=DEVICE).bfloat16()
        bias = random_bias(num_features, rng)
        config = random_config(rng, weight_first=rng.random() < 0.5)
        y = skinny_product(Activations(x, None), Weight(weight, None, bias), config)
        assert_product(y, x, weight, bias)


def test_every_fp8_number_is_widened_exactly() -> None:
    codes = torch.tensor([code for code in range(256) if code & 0x7F != 0x7F], dtype=torch.uint8)
    data = codes.view(torch.float8_e4m3fn).to(DEVICE)[:, None].expand(-1, 32).contiguous()
    weight = Fp8Weight(data, torch.ones(len(codes), device=DEVICE))
    x = torch.zeros(1, 32, device=DEVICE).bfloat16()
    x[0, 5] = 1
    config = SkinnyConfig(split_k=1, block_k=128, weight_first=False)
    y = skinny_product(Activations(x, None), Weight(*weight, None), config)
    assert torch.equal(y[0].float(), data[:, 5].float())


@pytest.mark.parametrize("weight_first", [False, True])
def test_a_row_of_nan_is_nan_and_the_others_are_not(weight_first: bool) -> None:
    x = torch.randn(3, 96, device=DEVICE).bfloat16()
    x[1, 5] = float("nan")
    weight = random_fp8_weight(80, 96)
    config = SkinnyConfig(split_k=2, block_k=128, weight_first=weight_first)
    y = skinny_product(Activations(*quantize_tokens(x)), Weight(*weight, None), config)
    assert y[1].isnan().all()
    assert y[[0, 2]].isfinite().all()


def test_parts_leave_their_counters_at_zero_for_the_next_product() -> None:
    weight = random_fp8_weight(200, 512)
    x = torch.randn(2, 512, device=DEVICE).bfloat16()
    config = SkinnyConfig(split_k=4, block_k=128)
    rows = Activations(*quantize_tokens(x))
    first, second = (skinny_product(rows, Weight(*weight, None), config) for _ in range(2))
    assert torch.equal(first, second)
    assert not counters(DEVICE).any()


@pytest.mark.parametrize(
    "x",
    [torch.empty(33, 64), torch.empty(64, 4).t(), torch.empty(4, 32), torch.empty(0, 64)],
    ids=["too many rows", "columns first", "too few columns", "no rows"],
)
def test_what_a_kernel_cannot_read_is_refused(x: Tensor) -> None:
    weight = Weight(*random_fp8_weight(64, 64), None)
    rows = Activations(x.to(DEVICE, torch.bfloat16), None)
    with pytest.raises(AssertionError):
        skinny_product(rows, weight, SkinnyConfig(split_k=1))
