"""The product of a few rows with a large weight, as fast as the weight can be read.

A program takes ``block_n`` of the weight's rows and a part of their columns, and reads them once,
through a pipeline that keeps ``num_stages`` tiles in flight. Where the rows alone are too few
programs for the card, ``split_k`` programs share them: each leaves its sums in memory, and the last
to come adds them up, in the order of the parts: the result does not depend on who was last.

Rows do not see each other. A row is summed over the same columns in the same order whatever
stands beside it, as long as ``split_k``, ``block_k`` and ``weight_first`` are the same: a guess is
judged by the logits that decoding one token would have had.

Products of FP8 with FP8 are exact; with ``weight_first`` Hopper's tensor cores add up to
``block_k`` of them in fewer bits than float32 has, otherwise all is added in float32.

M rows of activations, up to 32; N output features; K input features.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rnj_agent.runtime.kernels.gpu.launch import (
    IS_INTERPRETED,
    bound,
    start_next,
    wait_for_previous,
)
from rnj_agent.runtime.kernels.gpu.quantize_tokens import magnitude, scale_of, to_fp8
from rnj_agent.runtime.kernels.gpu.rounding import cast


@triton.jit(do_not_specialize=["num_rows"])
def skinny_kernel(
    x: tl.tensor,
    x_scales: tl.tensor,
    weight: tl.tensor,
    weight_scales: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    partials: tl.tensor,
    counters: tl.tensor,
    num_rows: tl.tensor,
    num_features: tl.tensor,
    num_columns: tl.tensor,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    split_k: tl.constexpr,
    weight_first: tl.constexpr,
    even_k: tl.constexpr,
    x_format: tl.constexpr,
    scaled_weight: tl.constexpr,
    has_bias: tl.constexpr,
    prefetch_k: tl.constexpr,
    line: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """Programs: tiles of features, times ``split_k``."""
    start_next(overlap)
    rows = tl.arange(0, block_m)
    tile = tl.program_id(0)
    features = tile * block_n + tl.arange(0, block_n)
    part_columns = tl.cdiv(num_columns, block_k * split_k) * block_k
    first_column = tl.program_id(1) * part_columns
    safe_features = tl.minimum(features, num_features - 1).to(tl.int64)
    weight_rows = weight + safe_features[:, None] * num_columns
    if overlap:
        prefetch(weight_rows, first_column, num_columns, prefetch_k, line)
        wait_for_previous(overlap)
    row_mask = rows < num_rows
    x_rows = x + rows[:, None] * num_columns
    x_scale = tl.full((block_m,), 1.0, tl.float32)
    if x_format == "quantize":
        x_scale = scales_of_rows(x_rows, row_mask, num_columns, block_m, block_k)
    if x_format == "fp8":
        x_scale = tl.load(x_scales + rows, mask=row_mask, other=0.0)
    sums = sums_of_part(
        x_rows,
        row_mask,
        x_scale,
        weight_rows,
        first_column,
        part_columns,
        num_columns,
        block_m,
        block_n,
        block_k,
        weight_first,
        even_k,
        x_format,
    )
    offsets = rows[:, None] * num_features + features[None, :]
    feature_mask = features < num_features
    mask = row_mask[:, None] & feature_mask[None, :]
    if split_k > 1:
        size = num_rows * num_features
        tl.store(partials + tl.program_id(1) * size + offsets, sums, mask=mask)
        tl.debug_barrier()  # all threads' stores are before the one that says so
        arrived = tl.atomic_add(counters + tile, 1, sem="acq_rel")
        if arrived < split_k - 1:
            return
        tl.store(counters + tile, 0)
        sums = tl.load(partials + offsets, mask=mask, other=0.0, cache_modifier=".cg")
        for part in tl.static_range(1, split_k):
            sums += tl.load(
                partials + part * size + offsets, mask=mask, other=0.0, cache_modifier=".cg"
            )
    y = sums * x_scale[:, None]
    if scaled_weight:
        y *= tl.load(weight_scales + features, mask=feature_mask, other=0.0)[None, :]
    if has_bias:
        y += tl.load(bias + features, mask=feature_mask, other=0.0).to(tl.float32)[None, :]
    tl.store(out + offsets, cast(y, tl.bfloat16), mask=mask)


@triton.jit
def sums_of_part(
    x_rows: tl.tensor,
    row_mask: tl.tensor,
    x_scale: tl.tensor,
    weight_rows: tl.tensor,
    first_column: tl.tensor,
    part_columns: tl.tensor,
    num_columns: tl.tensor,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    weight_first: tl.constexpr,
    even_k: tl.constexpr,
    x_format: tl.constexpr,
) -> tl.tensor:
    """Of x @ weight.T over a part of the columns: float32 [block_m, block_n]."""
    if weight_first:
        sums = tl.zeros((block_n, block_m), dtype=tl.float32)
    else:
        sums = tl.zeros((block_m, block_n), dtype=tl.float32)
    columns = first_column + tl.arange(0, block_k)
    for column in range(0, bound(part_columns), block_k):
        if even_k:
            a = tl.load(x_rows + (columns + column)[None, :], mask=row_mask[:, None], other=0.0)
            b = tl.load(weight_rows + (columns + column)[None, :], eviction_policy="evict_first")
        else:
            inside = (columns + column < num_columns)[None, :]
            a = tl.load(
                x_rows + (columns + column)[None, :], mask=row_mask[:, None] & inside, other=0.0
            )
            b = tl.load(weight_rows + (columns + column)[None, :], mask=inside, other=0.0)
        if x_format == "quantize":
            a = to_fp8(a.to(tl.float32), x_scale[:, None])
        if x_format == "bits16":
            b = widened(b, a.dtype)
            a, b = factor(a), factor(b)
        elif not weight_first:
            a, b = a.to(tl.float16), b.to(tl.float16)
        if weight_first:
            sums = tl.dot(b, tl.trans(a), sums, max_num_imprecise_acc=block_k)
        else:
            sums = tl.dot(a, tl.trans(b), sums)
    if weight_first:
        sums = tl.trans(sums)
    return sums


@triton.jit
def factor(x: tl.tensor) -> tl.tensor:
    """Of a product; the interpreter multiplies bfloat16's bits as if they were whole numbers."""
    if IS_INTERPRETED:
        return x.to(tl.float32)
    return x


@triton.jit
def widened(b: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    """FP8 as bits, because older cards have no such type, to 16 bits, exactly but for NaN."""
    if b.dtype == tl.uint8:
        bits = b.to(tl.uint16)
        small = ((bits & 0x80) << 8) | ((bits & 0x7F) << 7)
        b = (small.to(tl.float16, bitcast=True) * 256.0).to(dtype)  # the biases are 7 and 15
    return b


@triton.jit
def scales_of_rows(
    x_rows: tl.tensor,
    row_mask: tl.tensor,
    num_columns: tl.tensor,
    block_m: tl.constexpr,
    block_k: tl.constexpr,
) -> tl.tensor:
    """As ``quantize_tokens`` has them, since a largest number has no order: float32 [block_m]."""
    largest = tl.zeros((block_m, block_k), dtype=tl.int32)
    for column in range(0, bound(num_columns), block_k):
        columns = column + tl.arange(0, block_k)
        mask = row_mask[:, None] & (columns < num_columns)[None, :]
        a = tl.load(x_rows + columns[None, :], mask=mask, other=0.0)
        largest = tl.maximum(largest, magnitude(a.to(tl.float32)))
    return scale_of(tl.max(largest, axis=1))


@triton.jit
def prefetch(
    weight_rows: tl.tensor,
    first_column: tl.tensor,
    num_columns: tl.tensor,
    prefetch_k: tl.constexpr,
    line: tl.constexpr,
) -> None:
    """Bring the first ``prefetch_k`` columns of the part into the L2 cache."""
    columns = first_column + tl.arange(0, prefetch_k // line) * line
    columns = tl.minimum(columns, num_columns - 1)
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.b32 $0, 0;",
        "=r,l",
        [(weight_rows + columns[None, :]).to(tl.int64)],
        dtype=tl.int32,
        is_pure=False,
        pack=1,
    )
