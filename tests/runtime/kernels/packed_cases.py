"""Random weights in each packed format, with what they are worth in plain PyTorch: the twin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from gguf.constants import GGMLQuantizationType
from torch import Tensor

from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.packed import BLOCKS, GROUP, PackedFormat, packed_bytes
from rnj_agent.runtime.kernels.cpu.products import PackedWeight, Segment, repack
from rnj_agent.runtime.quant.dequantize import dequantize_into
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE

STORED = {
    PackedFormat.Q4_K: GGMLQuantizationType.Q4_K,
    PackedFormat.Q6_K: GGMLQuantizationType.Q6_K,
    PackedFormat.Q8: GGMLQuantizationType.Q8_0,
    PackedFormat.Q4_1: GGMLQuantizationType.Q4_1,
}
HALVES = {
    PackedFormat.Q4_K: (0, 2),
    PackedFormat.Q6_K: (208,),
    PackedFormat.Q8: (0,),
    PackedFormat.Q4_1: (0, 2),
}
"""Where in a block scales and minima of 16 bits are: random bytes could be NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCase:
    segment: Segment
    weight: Tensor
    """float32 [N, K]."""
    unscaled: Tensor
    """Likewise, without FP8's scales."""


def random_segment(
    kernels: Kernels, packed_format: PackedFormat, num_rows: int, in_features: int, seed: int
) -> SegmentCase:
    generator = torch.Generator().manual_seed(seed)
    tiles = torch.empty(packed_bytes(packed_format, num_rows, in_features), dtype=torch.uint8)
    if packed_format is PackedFormat.FP8:
        codes = torch.randint(0, 256, (num_rows, in_features), generator=generator).byte()
        codes[(codes & 0x7F) == 0x7F] = 0  # NaN, which no loaded weight is
        scales = torch.rand(num_rows, generator=generator) + 0.01
        segment = repack(kernels, packed_format, codes, tiles, num_rows=num_rows, scales=scales)
        unscaled = codes.view(FP8_DTYPE).float()
        return SegmentCase(segment=segment, weight=unscaled * scales[:, None], unscaled=unscaled)
    num_weights, block_bytes, _ = BLOCKS[packed_format]
    shape = (num_rows * in_features // num_weights, block_bytes)
    blocks = torch.randint(0, 256, shape, generator=generator).byte()
    for at in HALVES[packed_format]:
        halves = torch.randn(len(blocks), 1, generator=generator).to(torch.float16) / 100
        blocks[:, at : at + 2] = halves.view(torch.uint8)
    raw = blocks.view(num_rows, -1)
    segment = repack(kernels, packed_format, raw, tiles, num_rows=num_rows)
    weight = torch.empty(num_rows, in_features)
    dequantize_into(weight, raw.flatten(), STORED[packed_format])
    return SegmentCase(segment=segment, weight=weight, unscaled=weight)


def rounded_to_int8(x: Tensor) -> Tensor:
    """What activations are worth to the products: float64."""
    groups = x.float().unflatten(-1, (-1, GROUP))
    largest = groups.abs().amax(dim=-1, keepdim=True)
    # not 127.0 / largest, which torch computes as a reciprocal: ties would round otherwise
    inverse = torch.where(largest > 0, torch.full_like(largest, 127.0) / largest, 0.0)
    return ((groups * inverse).round() * (largest / 127.0).double()).flatten(-2)


def product(weight: PackedWeight, x: Tensor) -> Tensor:
    """With fresh memory."""
    return weight.product(x, torch.empty(weight.workspace_bytes(len(x)), dtype=torch.uint8))
