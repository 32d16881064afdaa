from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import quantize
from torch import Tensor

from rnj_agent.runtime.quant.block_quants import (
    GROUP,
    q4_1_of_q4_0,
    q8_0_of_q5_0,
    quantize_q4_1,
    quantize_q8_0,
)
from rnj_agent.runtime.quant.dequantize import dequantize_into
from rnj_agent.runtime.quant.weight_memory import REGION_BYTES, WeightMemory

Q = GGMLQuantizationType


def dequantised(blocks: Tensor, stored: GGMLQuantizationType) -> Tensor:
    """float32 [n]."""
    block_size, block_bytes = GGML_QUANT_SIZES[stored]
    out = torch.empty(blocks.numel() // block_bytes * block_size)
    dequantize_into(out, blocks.flatten(), stored)
    return out


def some_weights(num_rows: int = 40, in_features: int = 96) -> Tensor:
    """Of very different sizes: zeros, and what the smallest half precision cannot hold as well."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(num_rows, in_features, generator=generator)
    weight *= torch.logspace(-9, 3, num_rows)[:, None]
    weight[3] = 0
    weight[4, :GROUP] = 2.5
    return weight


@pytest.mark.parametrize(
    ("stored", "becomes", "convert"),
    [(Q.Q4_0, Q.Q4_1, q4_1_of_q4_0), (Q.Q5_0, Q.Q8_0, q8_0_of_q5_0)],
    ids=["Q4_0", "Q5_0"],
)
def test_smaller_formats_become_larger_ones_without_loss(
    stored: GGMLQuantizationType, becomes: GGMLQuantizationType, convert: Callable[[Tensor], Tensor]
) -> None:
    raw = torch.from_numpy(quantize(torch.randn(8, 96).numpy(), stored))
    blocks = raw.view(-1, GGML_QUANT_SIZES[stored][1])
    assert torch.equal(dequantised(convert(blocks), becomes), dequantised(raw, stored))


def test_int8_is_within_half_a_step_of_the_largest_of_32() -> None:
    weight = some_weights()
    ours = dequantised(quantize_q8_0(weight), Q.Q8_0).view(-1, GROUP)
    groups = weight.view(-1, GROUP)
    largest = groups.abs().amax(dim=1, keepdim=True)
    # a scale's rounding to 11 bits may clamp the largest by 127 / 2**11 of a step
    bound = largest / 254 * 1.15 + 127 * 2**-25
    assert bool(((ours - groups).abs() <= bound).all())
    assert bool((ours[groups == 0] == 0).all())


def test_int4_is_within_half_a_step_of_the_range_of_32() -> None:
    weight = some_weights()
    ours = dequantised(quantize_q4_1(weight), Q.Q4_1).view(-1, GROUP)
    groups = weight.view(-1, GROUP)
    smallest, largest = groups.aminmax(dim=1, keepdim=True)
    bound = (largest - smallest) / 30 * 1.05 + smallest.abs() * 2**-10
    assert bool(((ours - groups).abs() <= bound + 15 * 2**-24).all())


def test_weights_get_memory_that_is_aligned_and_their_own() -> None:
    memory = WeightMemory()
    parts = [memory.allocate(size) for size in (1, 100, 64, 5000, REGION_BYTES, 7)]
    for value, part in enumerate(parts):
        assert part.data_ptr() % 64 == 0
        part.fill_(value)
    for value, part in enumerate(parts):
        assert bool((part == value).all())
