"""GGUF formats with 256 weights a block and quantised scales: Q4_K, Q5_K, Q6_K.

``scales_*`` reads what groups of weights share, ``weights_*`` gives float32 [N, 256] of blocks,
uint8 [N, block bytes], and their scales, [N, groups, 1]. The order of operations is that of the
``gguf`` package, so results are equal bit for bit.
Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnj_agent.runtime.quant.legacy_blocks import halves, nibbles


def scales_and_minima(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Of Q4_K and Q5_K, both [N, 8, 1].

    Twelve bytes hold, for groups 0-3, six bits of each in bytes 0-3 (scales) and 4-7 (minima), and
    for groups 4-7, four bits of each in bytes 8-11 and the upper two in the top of bytes 0-7.
    """
    early, late = blocks[:, 4:12], blocks[:, 12:16]
    upper = (early >> 2) & 0x30
    early = early & 0x3F
    quants = torch.stack(
        (
            torch.cat((early[:, :4], (late & 0x0F) | upper[:, :4]), dim=1),
            torch.cat((early[:, 4:], (late >> 4) | upper[:, 4:]), dim=1),
        ),
        dim=1,
    )
    both = halves(blocks[:, :4])[:, :, None] * quants.float()
    return both[:, 0, :, None], both[:, 1, :, None]


def weights_q4_k(blocks: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    """Scale, minimum f16 | 8 scales and 8 minima of 6 bits | 128 bytes of nibbles."""
    quants = nibbles(blocks[:, 16:].unflatten(1, (4, 32))).view(-1, 8, 32)
    return (scale * quants.float() - minimum).flatten(1)


def weights_q5_k(blocks: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    """As Q4_K, with 32 bytes of fifth bits before the nibbles: bit j belongs to group j."""
    groups = torch.arange(8, dtype=torch.uint8, device=blocks.device)[:, None]
    fifth = (blocks[:, None, 16:48] >> groups) & 1
    quants = nibbles(blocks[:, 48:].unflatten(1, (4, 32))).view(-1, 8, 32) | (fifth << 4)
    return (scale * quants.float() - minimum).flatten(1)


def scales_q6_k(blocks: Tensor) -> tuple[Tensor]:
    """[N, 16, 1]."""
    scales = blocks[:, 192:208].view(torch.int8).float()
    return ((halves(blocks[:, 208:210]) * scales)[:, :, None],)


def weights_q6_k(blocks: Tensor, scale: Tensor) -> Tensor:
    """128 bytes of nibbles | 64 of upper two bits | 16 int8 scales | scale f16; offset by 32."""
    low = nibbles(blocks[:, :128].unflatten(1, (2, 64)))
    shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=blocks.device)[:, None]
    high = (blocks[:, 128:192].unflatten(1, (2, 1, 32)) >> shifts) & 3
    quants = (low | (high.flatten(2) << 4)).view(torch.int8) - 32
    return (scale * quants.view(-1, 16, 16).float()).flatten(1)
