"""Attention of a few new rows a sequence over the paged cache: decode steps, drafts to verify.

Memory-bound: every key and value is read once for all query heads that share it, and as many
programs as fill the card share a sequence. Two kernels:

    paged_decode_kernel   a program has 16 (row, query head) pairs of one key/value head, and every
                          num_splits-th part of the sequence; each part's softmax stands for itself
    merge_parts_kernel    (``merge_parts.py``) puts them together

A part is ``part_len`` positions, from a multiple of ``part_len`` on. Where a row's parts begin and
end, and so every rounding, depends on its position and on ``part_len`` alone: not on how many rows
are verified with it, where blocks lie, what else is in the pass, or the number of splits.

Everything that differs from pass to pass is read on the device, so CUDA graphs may hold both; and
no bound of a pass is a constant of a kernel, so that none is compiled anew within a reply.

Covered: windows, soft-caps, 8-bit caches, head sizes that are no powers of 2, groups of any size.
Not covered: sequences of more than ``max_rows`` rows: they are left alone, their output unwritten.

B sequences, T rows of all, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.kernels.gpu.attention_tile import (
    HEADROOM,
    AttentionShape,
    attend_tile,
    dot_dtype,
)
from rnj_agent.runtime.kernels.gpu.launch import bound, launch
from rnj_agent.runtime.kernels.gpu.merge_parts import MERGED_PARTS, merge_parts_kernel
from rnj_agent.runtime.kv_cache.buffer import KVBuffer

PAIRS = 16
"""Of a program: the fewest that a matrix instruction takes. Never more, because another tile may be
summed in another order; a sequence's further tiles find its keys in the L2 cache."""
NUM_STAGES = 5
"""Two tiles under way while one is computed: a tile's block number takes stages of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSplits:
    """How a launch shares sequences among programs."""

    max_rows: int
    """Of a sequence; those with more are not decoded."""
    max_seq_len: int
    """Tokens of a sequence that is decoded, at most."""
    part_len: int
    """A multiple of the block size."""
    num_splits: int
    """Programs for each sequence and head."""

    @property
    def num_parts(self) -> int:
        """Of a sequence, at most."""
        return -(-self.max_seq_len // self.part_len)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Attention over each part alone: room that all layers of a pass use one after the other."""

    outputs: Tensor
    """float32 [parts, B, rows of a sequence, H, D]."""
    logsumexps: Tensor
    """float32 [parts, B, rows of a sequence, H], to base 2."""


@triton.jit(do_not_specialize=["num_slots", "table_stride", "part_rows", "max_rows", "num_tiles"])
def paged_decode_kernel(
    queries: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    key_scales: tl.tensor,
    value_scales: tl.tensor,
    block_tables: tl.tensor,
    cu_seqlens_q: tl.tensor,
    seq_lens: tl.tensor,
    outputs: tl.tensor,
    logsumexps: tl.tensor,
    scale: tl.tensor,
    softcap: tl.tensor,
    query_stride: tl.tensor,
    num_slots: tl.tensor,
    table_stride: tl.tensor,
    part_rows: tl.tensor,
    max_rows: tl.tensor,
    num_tiles: tl.tensor,
    num_heads: tl.constexpr,
    group: tl.constexpr,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    block_size: tl.constexpr,
    window: tl.constexpr | None,
    pairs: tl.constexpr,
    part_len: tl.constexpr,
    tile_keys: tl.constexpr,
    dtype: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """Grid (B * num_tiles, K, num_splits)."""
    if overlap:
        gdc_launch_dependents()
        gdc_wait()
    sequence = tl.program_id(0) // num_tiles
    first_pair = (tl.program_id(0) % num_tiles) * pairs
    kv_head = tl.program_id(1)
    first_row = tl.load(cu_seqlens_q + sequence)
    num_rows = tl.load(cu_seqlens_q + sequence + 1) - first_row
    seq_len = tl.load(seq_lens + sequence)
    if (num_rows > max_rows) | (first_pair >= num_rows * group):
        return

    pair = first_pair + tl.arange(0, pairs)
    row = pair // group
    head = kv_head * group + pair % group
    position = seq_len - num_rows + row
    dim = tl.arange(0, padded_dim)
    is_query = (row < num_rows)[:, None] & (dim < head_dim)[None, :]
    query_start = (first_row + row).to(tl.int64) * query_stride + head * head_dim
    query = tl.load(queries + query_start[:, None] + dim[None, :], mask=is_query, other=0.0)

    # what some row of the tile sees: [first_key, end_key)
    last_row = tl.minimum((first_pair + pairs - 1) // group, num_rows - 1)
    end_key = tl.where(seq_len > 0, seq_len - num_rows + last_row + 1, 0)
    first_key = num_rows * 0
    if window is not None:
        first_key = tl.maximum(seq_len - num_rows + first_pair // group - window + 1, 0)
    first_part = first_key // part_len + tl.program_id(2)
    end_part = tl.cdiv(end_key, part_len)
    for part in range(bound(first_part), bound(end_part), bound(tl.num_programs(2))):
        largest = tl.full([pairs], float("-inf"), tl.float32)
        total = tl.zeros([pairs], tl.float32)
        output = tl.zeros([pairs, padded_dim], tl.float32)
        begin = tl.maximum(part * part_len, first_key // tile_keys * tile_keys)
        end = tl.minimum(part * part_len + part_len, end_key)
        for tile in range(bound(begin), bound(end), tile_keys):
            largest, total, output = attend_tile(
                query.to(dtype),
                position,
                keys,
                values,
                key_scales,
                value_scales,
                block_tables + sequence.to(tl.int64) * table_stride,
                kv_head.to(tl.int64) * num_slots,
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
        part_row = part * part_rows + sequence * max_rows + row
        place = part_row.to(tl.int64) * num_heads + head
        total = tl.where(total == 0.0, 1.0, total)  # a row that sees no key of the part
        output /= total[:, None]
        tl.store(outputs + place[:, None] * head_dim + dim[None, :], output, mask=is_query)
        tl.store(logsumexps + place, largest + tl.log2(total) - HEADROOM, mask=row < num_rows)


def num_tiles(shape: AttentionShape, max_rows: int) -> int:
    """Programs for the rows of a sequence and key/value head."""
    return -(-max_rows * shape.group // PAIRS)


def new_parts(batch: DeviceBatch, shape: AttentionShape, splits: DecodeSplits) -> Parts:
    """Room for passes within the bounds of ``splits``."""
    size = (splits.num_parts, len(batch.seq_lens), splits.max_rows, shape.num_heads)
    device = batch.seq_lens.device
    return Parts(
        outputs=torch.empty((*size, shape.head_dim), dtype=torch.float32, device=device),
        logsumexps=torch.empty(size, dtype=torch.float32, device=device),
    )


def paged_decode(
    queries: Tensor,
    keys: KVBuffer,
    values: KVBuffer,
    batch: DeviceBatch,
    parts: Parts,
    output: Tensor,
    shape: AttentionShape,
    splits: DecodeSplits,
    *,
    overlap: bool = False,
) -> None:
    """Attend in one layer.

    Args:
        queries: [T, H, D]; a row's heads lie side by side.
        keys: of the layer, those of the new rows too.
        values: likewise.
        batch: the new rows.
        parts: from ``new_parts``.
        output: contiguous [T, H, D]; written where sequences have ``max_rows`` or fewer.
        shape: of the layer.
        splits: how sequences are shared.
        overlap: see ``launch``.
    """
    assert queries.stride()[1:] == (shape.head_dim, 1)
    assert output.is_contiguous()
    assert splits.part_len % shape.block_size == 0
    num_sequences = len(batch.seq_lens)
    tiles = num_tiles(shape, splits.max_rows)
    common = {
        "num_heads": shape.num_heads,
        "head_dim": shape.head_dim,
        "padded_dim": shape.padded_dim,
        "window": shape.window,
        "part_len": splits.part_len,
        "overlap": overlap,
    }
    launch(
        paged_decode_kernel,
        (num_sequences * tiles, shape.num_kv_heads, splits.num_splits),
        queries,
        keys.data,
        values.data,
        keys.scales,
        values.scales,
        batch.block_tables,
        batch.cu_seqlens_q,
        batch.seq_lens,
        parts.outputs,
        parts.logsumexps,
        shape.scale,
        shape.softcap,
        queries.stride(0),
        keys.data.shape[1],
        batch.block_tables.stride(0),
        num_sequences * splits.max_rows,
        splits.max_rows,
        tiles,
        group=shape.group,
        block_size=shape.block_size,
        pairs=PAIRS,
        tile_keys=shape.tile_keys,
        dtype=dot_dtype(queries, keys),
        num_warps=4,
        num_stages=NUM_STAGES,
        **common,
    )
    launch(
        merge_parts_kernel,
        (num_sequences * splits.max_rows, shape.num_heads),
        parts.outputs,
        parts.logsumexps,
        batch.cu_seqlens_q,
        batch.seq_lens,
        output,
        num_sequences * splits.max_rows,
        splits.max_rows,
        tile_parts=MERGED_PARTS,
        num_warps=2,
        **common,
    )
