"""Quantises rows to FP8 e4m3, one scale for each: what ``quant.fp8.quantize_tokens`` defines.

A program holds a whole row in registers, so that it reads it once. For finite rows the result is
the twin's, bit for bit: a row's largest number does not depend on the order of the search, and both
quotients are rounded as IEEE 754 says. A row with NaN or an infinity makes NaN of every product.

M rows (tokens), K columns.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rnj_agent.runtime.kernels.gpu.launch import (
    IS_INTERPRETED,
    launch,
    power_of_2,
    start_next,
    wait_for_previous,
)
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, FP8_MAX, MIN_SCALE, Fp8Rows

MAX_COLUMNS = 1 << 16
"""Of a row that fits in a program's registers."""
LARGEST: tl.constexpr = tl.constexpr(FP8_MAX)
SMALLEST_SCALE: tl.constexpr = tl.constexpr(MIN_SCALE)


@triton.jit
def row_scale(row: tl.tensor) -> tl.tensor:
    """The scale of a float32 row."""
    return scale_of(tl.max(magnitude(row), axis=0))


@triton.jit
def magnitude(x: tl.tensor) -> tl.tensor:
    """The bits of abs(x), which compare as numbers do; NaN's are above all others."""
    return x.to(tl.int32, bitcast=True) & 0x7FFFFFFF


@triton.jit
def scale_of(largest_magnitude: tl.tensor) -> tl.tensor:
    """Of a row; NaN if it holds one."""
    scale = tl.div_rn(largest_magnitude.to(tl.float32, bitcast=True), LARGEST)
    return tl.where(scale < SMALLEST_SCALE, SMALLEST_SCALE, scale)


@triton.jit
def to_fp8(row: tl.tensor, scale: tl.tensor) -> tl.tensor:
    """float32 numbers over their scale, as FP8."""
    x = tl.div_rn(row, scale)
    x = tl.where(x > LARGEST, LARGEST, tl.where(x < -LARGEST, -LARGEST, x))
    if IS_INTERPRETED:  # its cast to FP8 cuts off what a GPU rounds to the nearest, ties to even
        return fp8_bits(x).to(tl.uint8).to(tl.float8e4nv, bitcast=True)
    return x.to(tl.float8e4nv)


@triton.jit
def fp8_bits(x: tl.tensor) -> tl.tensor:
    """The nearest FP8 number's bits: 1 sign, 4 exponent, bias 7, 3 mantissa."""
    bits = x.to(tl.int32, bitcast=True)
    magnitude = bits & 0x7FFFFFFF
    normal = ((magnitude + 0x7FFFF + ((magnitude >> 20) & 1)) >> 20) - (120 << 3)
    whole = 8388608.0  # 2^23: the numbers from here on have no fractions
    subnormal = (tl.abs(x) * 512.0 + whole) - whole
    code = tl.where(magnitude < 0x3C800000, subnormal.to(tl.int32), normal)  # 2^-6
    return tl.where(x == x, code, 0x7F) | ((bits >> 24) & 0x80)


@triton.jit
def quantize_tokens_kernel(
    x: tl.tensor,
    data: tl.tensor,
    scales: tl.tensor,
    num_columns: tl.tensor,
    block: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """One program a row."""
    start_next(overlap)
    wait_for_previous(overlap)
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    mask = columns < num_columns
    offsets = row * num_columns + columns
    numbers = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    scale = row_scale(numbers)
    tl.store(data + offsets, to_fp8(numbers, scale), mask=mask)
    tl.store(scales + row, scale)


def quantize_tokens(x: Tensor, *, overlap: bool = False) -> Fp8Rows:
    """One scale for each row.

    Args:
        x: floating point [M, K], contiguous, K up to ``MAX_COLUMNS``.
        overlap: see ``launch``.
    """
    rows = empty_rows(x, x.shape[1])
    block = power_of_2(x.shape[1])
    launch(
        quantize_tokens_kernel,
        (len(x),),
        x,
        rows.data,
        rows.scale,
        x.shape[1],
        block=block,
        overlap=overlap,
        num_warps=row_warps(block),
    )
    return rows


def empty_rows(x: Tensor, num_columns: int) -> Fp8Rows:
    """Where a kernel writes what it quantised of ``x``: as many rows, ``num_columns`` each."""
    assert x.dim() == 2
    assert x.is_contiguous(), "kernels read whole rows, one after the other"
    assert 0 < num_columns <= MAX_COLUMNS
    return Fp8Rows(
        torch.empty((len(x), num_columns), dtype=FP8_DTYPE, device=x.device),
        torch.empty((len(x), 1), dtype=torch.float32, device=x.device),
    )


def row_warps(block: int) -> int:
    """Threads that share a row: 16 numbers or more for each, as long as a row has them."""
    return max(1, min(16, block // 512))
