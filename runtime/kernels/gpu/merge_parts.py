"""Puts attention over the parts of a sequence together: the second step of ``paged_decode``.

A program has one row and query head. It takes the parts in order, so a row's bits depend on its
position and the parts' length alone.

B sequences, H query heads, D head size.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from rnj_agent.runtime.kernels.gpu.launch import bound
from rnj_agent.runtime.kernels.gpu.rounding import cast

MERGED_PARTS = 16
"""Read at once."""


@triton.jit(do_not_specialize=["part_rows", "max_rows"])
def merge_parts_kernel(
    outputs: tl.tensor,
    logsumexps: tl.tensor,
    cu_seqlens_q: tl.tensor,
    seq_lens: tl.tensor,
    merged: tl.tensor,
    part_rows: tl.tensor,
    max_rows: tl.tensor,
    num_heads: tl.constexpr,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    window: tl.constexpr | None,
    part_len: tl.constexpr,
    tile_parts: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """Grid (B * max_rows, H)."""
    if overlap:
        gdc_launch_dependents()
        gdc_wait()
    sequence = tl.program_id(0) // max_rows
    row = tl.program_id(0) % max_rows
    head = tl.program_id(1)
    first_row = tl.load(cu_seqlens_q + sequence)
    num_rows = tl.load(cu_seqlens_q + sequence + 1) - first_row
    seq_len = tl.load(seq_lens + sequence)
    if (num_rows > max_rows) | (row >= num_rows):
        return

    position = seq_len - num_rows + row
    end_part = tl.where(seq_len > 0, position // part_len + 1, 0)
    first_part = num_rows * 0
    if window is not None:
        first_part = tl.maximum(position - window + 1, 0) // part_len
    dim = tl.arange(0, padded_dim)
    largest = float("-inf")
    total = 0.0
    output = tl.zeros([padded_dim], tl.float32)
    for tile in range(bound(first_part), bound(end_part), tile_parts):
        part = tile + tl.arange(0, tile_parts)
        is_part = part < end_part
        place = (part.to(tl.int64) * part_rows + tl.program_id(0)) * num_heads + head
        logsumexp = tl.load(logsumexps + place, mask=is_part, other=float("-inf"))
        attended = tl.load(
            outputs + place[:, None] * head_dim + dim[None, :],
            mask=is_part[:, None] & (dim < head_dim)[None, :],
            other=0.0,
        )
        new_largest = tl.maximum(largest, tl.max(logsumexp, axis=0))
        weights = tl.exp2(logsumexp - new_largest)
        shrink = tl.exp2(largest - new_largest)
        total = total * shrink + tl.sum(weights, axis=0)
        output = output * shrink + tl.sum(attended * weights[:, None], axis=0)
        largest = new_largest
    output /= tl.where(total == 0.0, 1.0, total)
    start = ((first_row + row).to(tl.int64) * num_heads + head) * head_dim
    tl.store(merged + start + dim, cast(output, merged.dtype.element_ty), mask=dim < head_dim)
