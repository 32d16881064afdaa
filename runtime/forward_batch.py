"""What one forward pass computes: new tokens of one or several sequences, one after the other.

T new tokens of all sequences together, T_i of sequence i. Positions of sequence i, half-open:

    [0, start)                cached: their keys and values are in the blocks of its block table
    [start, start + T_i)      new: in ``input_ids``, written to the cache by this pass
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRows:
    """One sequence's part of a forward pass."""

    block_table: Sequence[int]
    """Physical blocks; block i holds positions [i * block_size, (i + 1) * block_size)."""
    start: int
    """Cached tokens before the new ones."""
    num_tokens: int
    """T_i >= 1."""
    num_logits: int
    """For how many of its last tokens logits are wanted: 0 while a prompt is being prefilled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardBatch:
    input_ids: torch.Tensor
    """int64 [T], sequence after sequence."""
    sequences: tuple[SequenceRows, ...]

    def __post_init__(self) -> None:
        assert self.sequences
        assert len(self.input_ids) == sum(rows.num_tokens for rows in self.sequences)
        assert all(0 <= rows.num_logits <= rows.num_tokens for rows in self.sequences)
