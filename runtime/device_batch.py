"""One forward pass as tensors on its device: what kernels and CUDA graphs read.

``ForwardBatch`` says the same in Python's lists. In a captured graph these tensors keep their
addresses and are filled again before each replay, so everything that differs from pass to pass must
be read from them on the device; the two plain numbers are upper bounds that hold for every replay.

All of them are views of one buffer, so that a pass needs one copy to the device.

B sequences, T rows of all, L rows whose logits are wanted. Sequence i has the rows
[cu_seqlens_q[i], cu_seqlens_q[i + 1]), which are the last ones of its ``seq_lens[i]`` tokens.
Padding, which fills a graph's buffers up: sequences of length 0 without rows, and rows behind those
of all sequences, which write to the storage's spare block; what they compute is never read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.storage import KVStorage

ALIGNMENT = 16
"""Of each tensor in the buffer, in bytes; of table rows, in blocks: kernels are compiled anew for
addresses and strides that are not such multiples."""


Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBatch:
    input_ids: Tensor
    """int64 [T]."""
    positions: Tensor
    """int64 [T], each in its sequence."""
    slots: Tensor
    """int64 [T]: where each row's keys and values go."""
    block_tables: Tensor
    """int32 [B, most blocks of a sequence]; what lies beyond a sequence's blocks is never read."""
    cu_seqlens_q: Tensor
    """int32 [B + 1]: sums of the numbers of rows; the last is T, or less where rows are padding."""
    seq_lens: Tensor
    """int32 [B]: cached and new tokens of each."""
    logit_rows: Tensor
    """int64 [L]."""
    max_query_len: int
    """Rows of a sequence, at most."""
    max_seq_len: int
    """Tokens of a sequence, at most."""
    sequences: tuple[SequenceRows, ...] | None = None
    """The same for the host, so that it need not ask; None where the pass may be recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchShape:
    """What a ``DeviceBatch`` has room for."""

    num_sequences: int
    num_rows: int
    num_logits: int
    num_blocks: int
    """Of a block table."""
    max_query_len: int
    max_seq_len: int

    @property
    def size_bytes(self) -> int:
        *_, (end, _, _) = self._places()
        return end

    def views(self, buffer: Tensor) -> DeviceBatch:
        """The batch that lies in a buffer: uint8 [size_bytes]."""
        starts = [0, *(end for end, _, _ in self._places())]
        tensors = [
            buffer[start : start + math.prod(sizes) * dtype.itemsize].view(dtype).view(sizes)
            for start, (_, dtype, sizes) in zip(starts[:-1], self._places(), strict=True)
        ]
        input_ids, positions, slots, logit_rows, block_tables, cu_seqlens_q, seq_lens = tensors
        return DeviceBatch(
            input_ids=input_ids,
            positions=positions,
            slots=slots,
            block_tables=block_tables,
            cu_seqlens_q=cu_seqlens_q,
            seq_lens=seq_lens,
            logit_rows=logit_rows,
            max_query_len=self.max_query_len,
            max_seq_len=self.max_seq_len,
        )

    def _places(self) -> list[tuple[int, torch.dtype, tuple[int, ...]]]:
        """Of each tensor the end in the buffer, its dtype and its sizes."""
        rows, sequences = self.num_rows, self.num_sequences
        tensors = [
            *[(torch.int64, (rows,))] * 3,
            (torch.int64, (self.num_logits,)),
            (torch.int32, (sequences, self.num_blocks)),
            (torch.int32, (sequences + 1,)),
            (torch.int32, (sequences,)),
        ]
        ends = accumulate(_aligned(math.prod(sizes) * dtype.itemsize) for dtype, sizes in tensors)
        return [(end, dtype, sizes) for end, (dtype, sizes) in zip(ends, tensors, strict=True)]


def exact_shape(batch: ForwardBatch) -> BatchShape:
    """Room for this batch and no other."""
    sequences = batch.sequences
    return BatchShape(
        num_sequences=len(sequences),
        num_rows=len(batch.input_ids),
        num_logits=sum(rows.num_logits for rows in sequences),
        num_blocks=_aligned(max(len(rows.block_table) for rows in sequences)),
        max_query_len=max(rows.num_tokens for rows in sequences),
        max_seq_len=max(rows.start + rows.num_tokens for rows in sequences),
    )


class HostBatch:
    """A batch in the host's memory, to be copied to the device; may be filled again.

    Pinned if the storage is on a GPU. Torch's allocator gives such memory away only when copies
    that read it are done; who fills it again must see to that himself.

    Args:
        shape: if it has room for as many logits as rows, every row's are wanted.
        storage: where keys and values go.

    Attributes:
        buffer: uint8 [shape.size_bytes], for ``shape.views``; not filled yet.
    """

    def __init__(self, shape: BatchShape, storage: KVStorage) -> None:
        is_pinned = storage.device.type == "cuda"
        self.buffer = torch.empty(shape.size_bytes, dtype=torch.uint8, pin_memory=is_pinned)
        views = shape.views(self.buffer)
        self._storage = storage
        self._input_ids: Int64s = views.input_ids.numpy()
        self._positions: Int64s = views.positions.numpy()
        self._slots: Int64s = views.slots.numpy()
        self._logit_rows: Int64s = views.logit_rows.numpy()
        self._tables: Int32s = views.block_tables.fill_(storage.spare_block).numpy()
        self._cu_seqlens: Int32s = views.cu_seqlens_q.numpy()
        self._seq_lens: Int32s = views.seq_lens.numpy()
        self._known_tables: list[list[int]] = [[] for _ in range(shape.num_sequences)]
        """What the tables hold: they grow seldom, and to write them takes long."""

    def fill(self, batch: ForwardBatch | None) -> Tensor:
        """Write a batch that fits the shape; None: nothing but padding. Returns the buffer."""
        sequences = () if batch is None else batch.sequences
        num_rows = 0 if batch is None else len(batch.input_ids)
        if batch is not None:
            self._input_ids[:num_rows] = batch.input_ids.numpy()
        self._input_ids[num_rows:] = 0
        self._positions[num_rows:] = 0
        self._slots[num_rows:] = self._storage.spare_block * self._storage.block_size
        first = 0
        for rows in sequences:
            self._fill_rows(rows, first)
            first += rows.num_tokens
        self._fill_sequences(sequences)
        self._fill_logit_rows(sequences)
        return self.buffer

    def _fill_rows(self, rows: SequenceRows, first: int) -> None:
        block_size = self._storage.block_size
        if rows.num_tokens == 1:  # the usual case, and worth a path without arrays
            block, offset = divmod(rows.start, block_size)
            self._positions[first] = rows.start
            self._slots[first] = rows.block_table[block] * block_size + offset
            return
        end = first + rows.num_tokens
        positions = np.arange(rows.start, rows.start + rows.num_tokens)
        first_block = rows.start // block_size
        blocks = np.array(rows.block_table[first_block:], dtype=np.int64)
        self._positions[first:end] = positions
        starts = blocks[positions // block_size - first_block] * block_size
        self._slots[first:end] = starts + positions % block_size

    def _fill_sequences(self, sequences: Sequence[SequenceRows]) -> None:
        num_sequences = len(sequences)
        ends = [0, *accumulate(rows.num_tokens for rows in sequences)]
        self._cu_seqlens[: num_sequences + 1] = ends
        self._cu_seqlens[num_sequences + 1 :] = ends[-1]
        self._seq_lens[:num_sequences] = [rows.start + rows.num_tokens for rows in sequences]
        self._seq_lens[num_sequences:] = 0
        for i, rows in enumerate(sequences):
            if rows.block_table != self._known_tables[i]:
                self._known_tables[i] = list(rows.block_table)
                self._tables[i, : len(rows.block_table)] = rows.block_table

    def _fill_logit_rows(self, sequences: Sequence[SequenceRows]) -> None:
        if len(self._logit_rows) == len(self._input_ids):
            self._logit_rows[:] = np.arange(len(self._input_ids))
            return
        first, end = 0, 0
        for rows in sequences:
            end += rows.num_tokens
            last = first + rows.num_logits
            self._logit_rows[first:last] = np.arange(end - rows.num_logits, end)
            first = last


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
