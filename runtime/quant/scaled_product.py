"""FP8 products of many rows, through torch: prefill, and decoding of large batches.

Covered: cards that multiply FP8 (compute capability 8.9 and later), by ``torch._scaled_mm`` with a
scale for each row of both; N or K that its 16-byte accesses do not divide, and other cards, by
widening the weight piece by piece.
Not covered: speed on a CPU, where torch emulates it: an oracle for tests.

M rows (tokens), N output features, K input features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnj_agent.runtime.quant.fp8 import Fp8Rows, Fp8Weight, widen

ALIGNMENT = 16
"""Bytes."""
PIECE_WEIGHTS = 1 << 25
"""That are widened at a time: 64 MiB in bfloat16."""


def has_scaled_product(weight: Fp8Weight) -> bool:
    """Whether ``scaled_product`` takes it: otherwise ``dequantised_product`` must do."""
    return all(size % ALIGNMENT == 0 for size in weight.data.shape)


def scaled_product(
    rows: Fp8Rows, weight: Fp8Weight, bias: Tensor | None = None, *, use_fast_accum: bool = True
) -> Tensor:
    """W8A8 on the tensor cores.

    Args:
        rows: data and scales contiguous.
        weight: contiguous.
        bias: [N].
        use_fast_accum: see ``Fp8Plan``.

    Returns:
        bfloat16 [M, N], which is all that the row-wise product gives.
    """
    y = torch.ops.aten._scaled_mm(
        rows.data,
        weight.data.t(),
        scale_a=rows.scale,
        scale_b=weight.scale.view(1, -1),
        out_dtype=torch.bfloat16,
        use_fast_accum=use_fast_accum,
    )
    return y if bias is None else y + bias.to(y.dtype)


def dequantised_product(x: Tensor, weight: Fp8Weight, bias: Tensor | None = None) -> Tensor:
    """W8A16: x @ (weight * scale).T + bias, in the dtype of ``x``.

    Args:
        x: bfloat16 or float32 [M, K].
        weight: without NaN.
        bias: [N].
    """
    num_features, num_columns = weight.data.shape
    blocks = weight.data.split(max(1, PIECE_WEIGHTS // num_columns))
    parts = [linear(x, widen(block, x.dtype)) for block in blocks]
    y = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)).float() * weight.scale
    assert y.shape[1] == num_features
    return (y if bias is None else y + bias.float()).to(x.dtype)
