"""Makes GGUF blocks: of weights in floating point, and of other formats' blocks.

Errors, relative to the largest weight of each 32: int8 at most 1/254, int4 at most 1/30 of their
range (largest less smallest), and what rounding scales to half precision adds.

N rows, K input features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.quant.pieces import PIECE_WEIGHTS, run_pieces, slices

GROUP = 32
Q8_MAX = 127.0
Q4_STEPS = 15.0
TINY = torch.finfo(torch.float32).tiny
_Quantize: TypeAlias = Callable[[Tensor], Tensor]


def quantize_q8_0(weight: Tensor) -> Tensor:
    """Floating point [N, K] to uint8 [N, K / 32 * 34]: scale f16 | 32 int8."""
    return _quantize(weight, _q8_0, block_bytes=34)


def quantize_q4_1(weight: Tensor) -> Tensor:
    """Floating point [N, K] to uint8 [N, K / 32 * 20]: scale, minimum f16 | 16 pairs."""
    return _quantize(weight, _q4_1, block_bytes=20)


def q4_1_of_q4_0(blocks: Tensor) -> Tensor:
    """The same weights: uint8 [n, 18] to [n, 20]; the offset of 8 becomes a minimum."""
    scale = blocks[:, :2].contiguous().view(torch.float16)
    minimum = (scale.float() * -8).to(torch.float16)
    return torch.cat((blocks[:, :2], minimum.view(torch.uint8), blocks[:, 2:]), dim=1)


def q8_0_of_q5_0(blocks: Tensor) -> Tensor:
    """The same weights: uint8 [n, 22] to [n, 34]."""
    bits = torch.arange(8, dtype=torch.uint8)
    fifth = ((blocks[:, 2:6, None] >> bits) & 1).flatten(1)
    low = torch.cat((blocks[:, 6:] & 0x0F, blocks[:, 6:] >> 4), dim=1)
    quants = (low | (fifth << 4)).view(torch.int8) - 16
    return torch.cat((blocks[:, :2], quants.view(torch.uint8)), dim=1)


def _quantize(weight: Tensor, quantize: _Quantize, *, block_bytes: int) -> Tensor:
    num_rows, in_features = weight.shape
    assert in_features % GROUP == 0
    out = torch.empty((num_rows, in_features // GROUP * block_bytes), dtype=torch.uint8)

    def run(piece: slice) -> None:
        groups = weight[piece].float().reshape(-1, GROUP)
        out[piece] = quantize(groups).view(len(out[piece]), -1)

    run_pieces(run, slices(num_rows, max(1, PIECE_WEIGHTS // in_features)))
    return out


def _q8_0(groups: Tensor) -> Tensor:
    scale = (groups.abs().amax(dim=1, keepdim=True) / Q8_MAX).to(torch.float16)
    quants = (groups / scale.float().clamp(min=TINY)).round_().clamp_(-Q8_MAX, Q8_MAX)
    return torch.cat((scale.view(torch.uint8), quants.to(torch.int8).view(torch.uint8)), dim=1)


def _q4_1(groups: Tensor) -> Tensor:
    smallest, largest = groups.aminmax(dim=1, keepdim=True)
    minimum = smallest.to(torch.float16)
    scale = ((largest - minimum.float()) / Q4_STEPS).to(torch.float16)
    steps = ((groups - minimum.float()) / scale.float().clamp(min=TINY)).round_()
    quants = steps.clamp_(0, Q4_STEPS).to(torch.uint8)
    pairs = quants[:, :16] | (quants[:, 16:] << 4)
    return torch.cat((scale.view(torch.uint8), minimum.view(torch.uint8), pairs), dim=1)
