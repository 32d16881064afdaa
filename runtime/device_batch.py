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

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.storage import KVStorage

ALIGNMENT = 16
"""Of each tensor in the buffer, in bytes; of table rows, in blocks: kernels are compiled anew for
addresses and strides that are not such multiples."""


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


def pack(batch: ForwardBatch | None, shape: BatchShape, storage: KVStorage) -> Tensor:
    """The batch as ``shape.views`` reads it, in the host's memory: uint8 [size_bytes].

    Pinned if the storage is on a GPU: torch's allocator gives the memory away again only when the
    copies that read it are done, so nobody has to wait for them.

    Args:
        batch: fits ``shape``; the rest is filled with padding. None: all of it is.
        shape: if it has room for as many logits as rows, every row's are wanted.
        storage: where keys and values go.
    """
    is_pinned = storage.device.type == "cuda"
    buffer = torch.empty(shape.size_bytes, dtype=torch.uint8, pin_memory=is_pinned)
    packed = shape.views(buffer)
    sequences = () if batch is None else batch.sequences
    packed.input_ids.zero_()
    if batch is not None:
        packed.input_ids[: len(batch.input_ids)] = batch.input_ids
    _pack_rows(sequences, packed, storage)
    _pack_sequences(sequences, packed, storage.spare_block)
    _pack_logit_rows(sequences, packed)
    return buffer


def _pack_rows(sequences: Sequence[SequenceRows], packed: DeviceBatch, storage: KVStorage) -> None:
    positions, slots = packed.positions.numpy(), packed.slots.numpy()
    positions.fill(0)
    slots.fill(storage.spare_block * storage.block_size)
    first = 0
    for rows in sequences:
        end = first + rows.num_tokens
        in_sequence = np.arange(rows.start, rows.start + rows.num_tokens)
        positions[first:end] = in_sequence
        slots[first:end] = _slots(rows, in_sequence, storage.block_size)
        first = end


def _slots(
    rows: SequenceRows, positions: npt.NDArray[np.int64], block_size: int
) -> npt.NDArray[np.int64]:
    first_block = rows.start // block_size
    blocks = np.array(rows.block_table[first_block:], dtype=np.int64)
    return blocks[positions // block_size - first_block] * block_size + positions % block_size


def _pack_sequences(
    sequences: Sequence[SequenceRows], packed: DeviceBatch, spare_block: int
) -> None:
    tables = packed.block_tables.fill_(spare_block).numpy()
    cu_seqlens, seq_lens = packed.cu_seqlens_q.numpy(), packed.seq_lens.numpy()
    cu_seqlens[0] = 0
    for i, rows in enumerate(sequences):
        cu_seqlens[i + 1] = cu_seqlens[i] + rows.num_tokens
        seq_lens[i] = rows.start + rows.num_tokens
        tables[i, : len(rows.block_table)] = rows.block_table
    cu_seqlens[len(sequences) + 1 :] = cu_seqlens[len(sequences)]
    seq_lens[len(sequences) :] = 0


def _pack_logit_rows(sequences: Sequence[SequenceRows], packed: DeviceBatch) -> None:
    logit_rows = packed.logit_rows.numpy()
    if len(logit_rows) == len(packed.input_ids):
        logit_rows[:] = np.arange(len(logit_rows))
        return
    first, end = 0, 0
    for rows in sequences:
        end += rows.num_tokens
        last = first + rows.num_logits
        logit_rows[first:last] = np.arange(end - rows.num_logits, end)
        first = last


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
