"""GGUF formats with one scale for 32 weights: Q4_0, Q4_1, Q5_0, Q8_0.

``scales_*`` reads what a block's weights share, ``weights_*`` gives float32 [N, 32] of blocks,
uint8 [N, block bytes], and their scales, [N, 1]. The order of operations is that of the ``gguf``
package, so results are equal bit for bit.
Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
"""

from __future__ import annotations

import torch
from torch import Tensor


def halves(columns: Tensor) -> Tensor:
    """float16 values stored in bytes: uint8 [N, 2 n] to float32 [N, n]."""
    return columns.contiguous().view(torch.float16).float()


def nibbles(packed: Tensor) -> Tensor:
    """All low halves, then all high halves: uint8 [..., n] to uint8 [..., 2 n]."""
    return torch.cat((packed & 0x0F, packed >> 4), dim=-1)


def scales(blocks: Tensor) -> tuple[Tensor]:
    """Formats that begin with a scale."""
    return (halves(blocks[:, :2]),)


def scales_and_minima(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Formats that begin with a scale and a minimum."""
    both = halves(blocks[:, :4])
    return both[:, :1], both[:, 1:]


def weights_q4_0(blocks: Tensor, scale: Tensor) -> Tensor:
    """Scale f16 | 16 bytes of nibbles; offset by 8."""
    return scale * (nibbles(blocks[:, 2:]).view(torch.int8) - 8).float()


def weights_q4_1(blocks: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    """Scale f16 | minimum f16 | 16 bytes of nibbles."""
    return scale * nibbles(blocks[:, 4:]).float() + minimum


def weights_q5_0(blocks: Tensor, scale: Tensor) -> Tensor:
    """Scale f16 | 32 fifth bits | 16 bytes of nibbles; offset by 16."""
    bits = torch.arange(8, dtype=torch.uint8, device=blocks.device)
    fifth = ((blocks[:, 2:6, None] >> bits) & 1).flatten(1)
    quants = nibbles(blocks[:, 6:]) | (fifth << 4)
    return scale * (quants.view(torch.int8) - 16).float()


def weights_q8_0(blocks: Tensor, scale: Tensor) -> Tensor:
    """Scale f16 | 32 int8."""
    return scale * blocks[:, 2:].view(torch.int8).float()
