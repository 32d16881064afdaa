"""Adds to the residual stream, normalises and quantises, in one pass over the rows.

    x += norm(y), or y;  h = norm(x);  fp8(h), with one scale for each row

A program holds a row in registers. Everything that the layers round to the activations' dtype when
they run one by one is rounded here too: the result differs from the twin's
(``PlainFp8Kernels``) only where another order of the sums of squares moves a number over the
edge between two.

M rows (tokens), K columns (the hidden size).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rnj_agent.runtime.kernels.gpu.launch import launch, power_of_2, start_next, wait_for_previous
from rnj_agent.runtime.kernels.gpu.quantize_tokens import empty_rows, row_scale, row_warps, to_fp8
from rnj_agent.runtime.kernels.gpu.rounding import cast
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.quant.fp8 import Fp8Rows


@triton.jit
def normalised(
    row: tl.tensor,
    weight: tl.tensor,
    num_columns: tl.tensor,
    eps: tl.tensor,
    block: tl.constexpr,
    dtype: tl.constexpr,
) -> tl.tensor:
    """The row over its root mean square, times weight; columns beyond the row stay 0."""
    columns = tl.arange(0, block)
    factors = tl.load(weight + columns, mask=columns < num_columns, other=0.0)
    mean_square = tl.sum(row * row, axis=0) / num_columns
    inverse_rms = tl.div_rn(1.0, tl.sqrt_rn(mean_square + eps))
    return cast(row * inverse_rms * factors, dtype).to(tl.float32)


@triton.jit
def add_norm_quantize_kernel(
    x: tl.tensor,
    y: tl.tensor,
    y_weight: tl.tensor,
    weight: tl.tensor,
    x_out: tl.tensor,
    data: tl.tensor,
    scales: tl.tensor,
    num_columns: tl.tensor,
    y_eps: tl.tensor,
    eps: tl.tensor,
    has_update: tl.constexpr,
    has_y_norm: tl.constexpr,
    block: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """One program a row. What a constant rules out is neither read nor written."""
    start_next(overlap)
    wait_for_previous(overlap)
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    mask = columns < num_columns
    offsets = row * num_columns + columns
    before = tl.load(x + offsets, mask=mask, other=0.0)
    dtype: tl.constexpr = before.dtype
    total = before.to(tl.float32)
    if has_update:
        added = tl.load(y + offsets, mask=mask, other=0.0).to(tl.float32)
        if has_y_norm:
            added = normalised(added, y_weight, num_columns, y_eps, block, dtype)
        rounded = cast(total + added, dtype)
        tl.store(x_out + offsets, rounded, mask=mask)
        total = rounded.to(tl.float32)
    hidden = normalised(total, weight, num_columns, eps, block, dtype)
    scale = row_scale(hidden)
    tl.store(data + offsets, to_fp8(hidden, scale), mask=mask)
    tl.store(scales + row, scale)


def add_norm_quantize(
    x: Tensor, update: Update | None, norm: RMSNorm, *, overlap: bool = False
) -> tuple[Tensor, Fp8Rows]:
    """The sum, and its norm in FP8.

    Args:
        x: [M, K], contiguous, as is what the update adds.
        update: None: x itself is the sum.
        norm: of the sum.
        overlap: see ``launch``.
    """
    rows = empty_rows(x, x.shape[1])
    y, y_norm = update or (x, None)
    assert y.is_contiguous()
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    x_out = x if update is None else torch.empty_like(x)
    block = power_of_2(x.shape[1])
    launch(
        add_norm_quantize_kernel,
        (len(x),),
        x,
        y,
        y_norm.weight if y_norm else x,
        norm.weight,
        x_out,
        rows.data,
        rows.scale,
        x.shape[1],
        y_norm.eps if y_norm else 0.0,
        norm.eps,
        has_update=update is not None,
        has_y_norm=y_norm is not None,
        block=block,
        overlap=overlap,
        num_warps=row_warps(block),
    )
    return x_out, rows
