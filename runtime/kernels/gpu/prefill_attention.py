"""Causal attention of many new rows a sequence over the paged cache, read in place.

A program has ``TILE_ROWS`` rows of one sequence and query head, and reads their keys once. The last
rows, which see the most keys, go first. What torch's own attention is measured against, and what
takes its place where that is missing or knows no soft-caps.

Covered: windows, soft-caps, 8-bit caches, head sizes that are no powers of 2.
Not covered: sequences of fewer than ``min_rows`` rows: they are left alone, their output unwritten.

B sequences, T rows of all, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.kernels.gpu.attention_tile import AttentionShape, attend_tile, dot_dtype
from rnj_agent.runtime.kernels.gpu.launch import INTERPRETED, bound, launch
from rnj_agent.runtime.kernels.gpu.rounding import cast
from rnj_agent.runtime.kv_cache.buffer import KVBuffer

TILE_ROWS = 32 if INTERPRETED else 128
"""Half as many where heads are wide: all kinds of cards must have the shared memory."""
NUM_STAGES = 3


@triton.jit(do_not_specialize=["num_slots", "table_stride", "min_rows"])
def prefill_attention_kernel(
    queries: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    key_scales: tl.tensor,
    value_scales: tl.tensor,
    block_tables: tl.tensor,
    cu_seqlens_q: tl.tensor,
    seq_lens: tl.tensor,
    outputs: tl.tensor,
    scale: tl.tensor,
    softcap: tl.tensor,
    query_stride: tl.tensor,
    num_slots: tl.tensor,
    table_stride: tl.tensor,
    min_rows: tl.tensor,
    num_heads: tl.constexpr,
    group: tl.constexpr,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    block_size: tl.constexpr,
    window: tl.constexpr | None,
    tile_rows: tl.constexpr,
    tile_keys: tl.constexpr,
    dtype: tl.constexpr,
) -> None:
    """Grid (tiles of the longest sequence, H, B)."""
    head, sequence = tl.program_id(1), tl.program_id(2)
    first_row = tl.load(cu_seqlens_q + sequence)
    num_rows = tl.load(cu_seqlens_q + sequence + 1) - first_row
    seq_len = tl.load(seq_lens + sequence)
    tile_row = (tl.num_programs(0) - 1 - tl.program_id(0)) * tile_rows
    if (num_rows < min_rows) | (tile_row >= num_rows):
        return

    row = tile_row + tl.arange(0, tile_rows)
    dim = tl.arange(0, padded_dim)
    is_query = (row < num_rows)[:, None] & (dim < head_dim)[None, :]
    token = (first_row + row).to(tl.int64)
    query_start = token * query_stride + head * head_dim
    query = tl.load(queries + query_start[:, None] + dim[None, :], mask=is_query, other=0.0)

    start = seq_len - num_rows
    end = tl.minimum(start + tile_row + tile_rows, seq_len)
    begin = num_rows * 0
    if window is not None:
        begin = tl.maximum(start + tile_row - window + 1, 0) // tile_keys * tile_keys
    largest = tl.full([tile_rows], float("-inf"), tl.float32)
    total = tl.zeros([tile_rows], tl.float32)
    output = tl.zeros([tile_rows, padded_dim], tl.float32)
    for tile in range(bound(begin), bound(end), tile_keys):
        largest, total, output = attend_tile(
            query.to(dtype),
            start + row,
            keys,
            values,
            key_scales,
            value_scales,
            block_tables + sequence.to(tl.int64) * table_stride,
            (head // group).to(tl.int64) * num_slots,
            tile,
            end,
            largest,
            total,
            output,
            scale,
            softcap,
            head_dim,
            padded_dim,
            block_size,
            window,
            tile_keys,
            dtype,
        )
    output /= tl.where(total == 0.0, 1.0, total)[:, None]
    output_start = (token * num_heads + head) * head_dim
    tl.store(
        outputs + output_start[:, None] + dim[None, :],
        cast(output, outputs.dtype.element_ty),
        mask=is_query,
    )


def prefill_tile_rows(head_dim: int) -> int:
    """Rows of a program."""
    return TILE_ROWS if head_dim <= 128 else TILE_ROWS // 2


def prefill_attention(
    queries: Tensor,
    keys: KVBuffer,
    values: KVBuffer,
    batch: DeviceBatch,
    output: Tensor,
    shape: AttentionShape,
    *,
    min_rows: int,
) -> None:
    """Attend in one layer.

    Args:
        queries: [T, H, D]; a row's heads lie side by side.
        keys: of the layer, those of the new rows too.
        values: likewise.
        batch: the new rows.
        output: contiguous [T, H, D]; written where sequences have ``min_rows`` or more.
        shape: of the layer.
        min_rows: at least 1.
    """
    assert queries.stride()[1:] == (shape.head_dim, 1)
    assert output.is_contiguous()
    tile_rows = prefill_tile_rows(shape.head_dim)
    launch(
        prefill_attention_kernel,
        (-(-batch.max_query_len // tile_rows), shape.num_heads, len(batch.seq_lens)),
        queries,
        keys.data,
        values.data,
        keys.scales,
        values.scales,
        batch.block_tables,
        batch.cu_seqlens_q,
        batch.seq_lens,
        output,
        shape.scale,
        shape.softcap,
        queries.stride(0),
        keys.data.shape[1],
        batch.block_tables.stride(0),
        min_rows,
        num_heads=shape.num_heads,
        group=shape.group,
        head_dim=shape.head_dim,
        padded_dim=shape.padded_dim,
        block_size=shape.block_size,
        window=shape.window,
        tile_rows=tile_rows,
        tile_keys=shape.tile_keys,
        dtype=dot_dtype(queries, keys),
        num_warps=8,
        num_stages=NUM_STAGES,
    )
