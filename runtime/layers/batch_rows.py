"""From the sequences of a pass to its rows: where each sequence begins, and where its tokens go."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows


def first_rows(batch: ForwardBatch) -> list[int]:
    """Of each sequence, its first row in the pass."""
    return [0, *accumulate(sequence.num_tokens for sequence in batch.sequences)][:-1]


def positions(batch: ForwardBatch, device: torch.device) -> Tensor:
    """Of each row, in its sequence: int64 [T]."""
    parts = [torch.arange(seq.start, seq.start + seq.num_tokens) for seq in batch.sequences]
    return torch.cat(parts).to(device)


def logit_rows(batch: ForwardBatch, device: torch.device) -> slice | Tensor:
    """The rows whose logits are wanted: the last ones of each sequence."""
    if len(batch.sequences) == 1:
        (only,) = batch.sequences
        return slice(only.num_tokens - only.num_logits, only.num_tokens)
    rows: list[int] = []
    for first_row, sequence in zip(first_rows(batch), batch.sequences, strict=True):
        end = first_row + sequence.num_tokens
        rows += range(end - sequence.num_logits, end)
    return torch.tensor(rows, dtype=torch.int64, device=device)


def slot_mapping(batch: ForwardBatch, block_size: int, device: torch.device) -> slice | Tensor:
    """Where each row's keys and values go: int64 [T], or a slice if they lie side by side."""
    runs: list[range] = []
    for sequence in batch.sequences:
        for run in _slots_by_block(sequence, block_size):
            if runs and runs[-1].stop == run.start:
                runs[-1] = range(runs[-1].start, run.stop)
            else:
                runs.append(run)
    if len(runs) == 1:
        return slice(runs[0].start, runs[0].stop)
    return torch.cat([torch.arange(run.start, run.stop) for run in runs]).to(device)


def _slots_by_block(sequence: SequenceRows, block_size: int) -> Iterator[range]:
    position, end = sequence.start, sequence.start + sequence.num_tokens
    while position < end:
        block, offset = divmod(position, block_size)
        num_tokens = min(block_size - offset, end - position)
        slot = sequence.block_table[block] * block_size + offset
        yield range(slot, slot + num_tokens)
        position += num_tokens
