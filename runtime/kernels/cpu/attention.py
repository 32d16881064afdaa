"""Attention of a few new rows of some sequences over the paged cache, in C (``attention.c``).

Covered: bfloat16, blocks of 64 slots, heads of up to 256 in steps of 32, sliding windows and
soft-capped scores. A row gets the same bits whatever is computed with it.
Not covered: caches in 8 bits, float32, and prompts, which read the same keys for many rows.

T rows of a pass, H query heads, K key/value heads, D head size, S slots, P parts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import SequenceRows
from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.threads import pass_threads

BLOCK_SIZE: Final = 64
MAX_HEAD_DIM: Final = 256
HEAD_DIM_STEP: Final = 32
PART_BLOCKS: Final = 4
"""Of one item of work: few enough that all cores have some, enough that merging costs little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionShape:
    """Of all layers of a type."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float
    window: int | None
    softcap: float | None

    @property
    def is_covered(self) -> bool:
        return self.head_dim % HEAD_DIM_STEP == 0 and self.head_dim <= MAX_HEAD_DIM


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRows:
    """A sequence's rows in the pass."""

    first_row: int
    sequence: SequenceRows


class _Attention(ctypes.Structure):
    """``attention`` of attention.c."""

    _fields_ = (
        ("queries", ctypes.c_void_p),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("stats", ctypes.c_void_p),
        ("sequences", ctypes.c_void_p),
        ("blocks", ctypes.c_void_p),
        ("num_slots", ctypes.c_int64),
        ("query_stride", ctypes.c_int64),
        ("num_sequences", ctypes.c_int32),
        ("num_rows", ctypes.c_int32),
        ("num_heads", ctypes.c_int32),
        ("num_kv_heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
        ("num_parts", ctypes.c_int32),
        ("part_tiles", ctypes.c_int32),
        ("window", ctypes.c_int32),
        ("scale", ctypes.c_float),
        ("softcap", ctypes.c_float),
    )


class RowsAttention:
    """Attention of one pass, planned once for all layers of a type.

    Args:
        kernels: compiled.
        shape: covered.
        rows: which rows are computed; others of the pass are left as they are.
        num_rows: T.
        num_slots: S.
    """

    def __init__(
        self,
        kernels: Kernels,
        shape: AttentionShape,
        rows: Sequence[PlacedRows],
        *,
        num_rows: int,
        num_slots: int,
    ) -> None:
        assert shape.is_covered
        self._attend = kernels.function("rnj_attend", ctypes.c_void_p, ctypes.c_int)
        self._shape = shape
        self._cache_shape = (shape.num_kv_heads, num_slots, shape.head_dim)
        self._query_shape = (num_rows, shape.num_heads, shape.head_dim)
        table, blocks = _tables(rows, num_rows=num_rows, num_slots=num_slots)
        longest = max(placed.sequence.start + placed.sequence.num_tokens for placed in rows)
        num_parts = -(-longest // (PART_BLOCKS * BLOCK_SIZE))
        sums = torch.empty((*self._query_shape[:2], num_parts, shape.head_dim))
        stats = torch.empty((*self._query_shape[:2], num_parts, 2))
        self._kept = (table, blocks, sums, stats)  # the structure has only their addresses
        self._call = _Attention(
            sums=sums.data_ptr(),
            stats=stats.data_ptr(),
            sequences=table.data_ptr(),
            blocks=blocks.data_ptr(),
            num_slots=num_slots,
            num_sequences=len(rows),
            num_rows=num_rows,
            num_heads=shape.num_heads,
            num_kv_heads=shape.num_kv_heads,
            head_dim=shape.head_dim,
            num_parts=num_parts,
            part_tiles=PART_BLOCKS,
            window=shape.window or 0,
            scale=shape.scale,
            softcap=shape.softcap or 0.0,
        )
        self._call_address = ctypes.addressof(self._call)

    @property
    def address(self) -> int:
        """Of the record, complete but for queries, keys, values and output."""
        return self._call_address

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor, output: Tensor) -> None:
        """One layer.

        Args:
            queries: bfloat16 [T, H, D], rows any distance apart.
            keys: of the layer's cache, bfloat16 [K, S, D]; the new rows' are in it already.
            values: likewise.
            output: bfloat16 [T, H, D], which is written.
        """
        assert queries.shape == self._query_shape
        assert queries.dtype == torch.bfloat16
        assert queries.stride()[1:] == (self._shape.head_dim, 1)
        for tensor, shape in (
            (output, self._query_shape),
            (keys, self._cache_shape),
            (values, self._cache_shape),
        ):
            assert tensor.shape == shape
            assert tensor.dtype == torch.bfloat16
            assert tensor.is_contiguous()
        call = self._call
        call.queries, call.query_stride = queries.data_ptr(), queries.stride(0)
        call.output = output.data_ptr()
        call.keys, call.values = keys.data_ptr(), values.data_ptr()
        self._attend(self._call_address, pass_threads(len(queries)))


def _tables(rows: Sequence[PlacedRows], *, num_rows: int, num_slots: int) -> tuple[Tensor, Tensor]:
    """The sequences, int32 [B, 4], and all their blocks, int32: checked, for C checks nothing."""
    table: list[tuple[int, int, int, int]] = []
    blocks: list[int] = []
    for placed in rows:
        sequence = placed.sequence
        end = sequence.start + sequence.num_tokens
        own = sequence.block_table[: -(-end // BLOCK_SIZE)]
        assert len(own) * BLOCK_SIZE >= end
        assert 0 <= placed.first_row <= num_rows - sequence.num_tokens
        table.append((placed.first_row, sequence.num_tokens, sequence.start, len(blocks)))
        blocks += own
    assert min(blocks) >= 0
    assert (max(blocks) + 1) * BLOCK_SIZE <= num_slots
    return torch.tensor(table, dtype=torch.int32), torch.tensor(blocks, dtype=torch.int32)
