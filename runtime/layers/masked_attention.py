"""Attention over the paged cache, one sequence at a time, over all its visible keys with a mask.

For sliding windows and soft-capped scores; and plain enough to check ``PagedAttention`` against.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention import VisibleKeys, attend, visible_keys
from rnj_agent.runtime.layers.batch_rows import first_rows
from rnj_agent.runtime.layers.key_source import KeySource, key_source, read


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceKeys:
    """What the new tokens of one sequence see."""

    rows: slice
    """Of the pass."""
    source: KeySource
    """From the block of the first visible key on."""
    visible: VisibleKeys
    """Counted from the source's first key."""


class MaskedAttention:
    """Attention of one pass.

    Args:
        batch: the new tokens.
        storage: holds all keys, those of the new tokens too.
        window: how many positions, its own included, a token sees; None: all before it.
        scale: multiplies the scores.
        softcap: bounds the scaled scores.
    """

    def __init__(
        self,
        batch: ForwardBatch,
        storage: KVStorage,
        *,
        window: int | None,
        scale: float,
        softcap: float | None,
    ) -> None:
        self._storage = storage
        self._scale = scale
        self._softcap = softcap
        self._sequences = [
            _sequence_keys(sequence, first_row, window, storage.block_size, storage.device)
            for first_row, sequence in zip(first_rows(batch), batch.sequences, strict=True)
        ]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """As ``PassAttention`` says; reads the new tokens from the cache too."""
        outputs = [
            attend(
                queries[sequence.rows],
                *read(self._storage, layer, sequence.source),
                sequence.visible,
                scale=self._scale,
                softcap=self._softcap,
            )
            for sequence in self._sequences
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _sequence_keys(
    sequence: SequenceRows,
    first_row: int,
    window: int | None,
    block_size: int,
    device: torch.device,
) -> SequenceKeys:
    visible = visible_keys(sequence.start, sequence.num_tokens, window, device)
    first_block = visible.first // block_size
    offset = first_block * block_size
    blocks = sequence.block_table[first_block:]
    return SequenceKeys(
        rows=slice(first_row, first_row + sequence.num_tokens),
        source=key_source(blocks, visible.end - offset, block_size, device),
        visible=replace(visible, first=visible.first - offset, end=visible.end - offset),
    )
