"""Where a sequence's cached keys and values lie: in place, or scattered over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.kv_cache.storage import KeysValues, KVStorage

MAX_RUNS = 4
"""Runs of blocks above which one copy costs less than a call for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The slots [first_slot, end_slot), read in place."""

    first_slot: int
    end_slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Scattered blocks, copied into one piece."""

    block_ids: Tensor
    """int64."""
    num_tokens: int


KeySource: TypeAlias = Run | Blocks


def read(storage: KVStorage, layer: int, source: KeySource) -> KeysValues:
    """One layer's keys and values, [K, n, D] each."""
    match source:
        case Run():
            return storage.run(layer, source.first_slot, source.end_slot)
        case Blocks():
            return storage.gather(layer, source.block_ids, source.num_tokens)


def key_source(
    block_table: Sequence[int], num_tokens: int, block_size: int, device: torch.device
) -> KeySource:
    """The first ``num_tokens`` >= 1 tokens of a block table as one piece."""
    blocks = block_table[: -(-num_tokens // block_size)]
    if is_run(blocks):
        first_slot = blocks[0] * block_size
        return Run(first_slot=first_slot, end_slot=first_slot + num_tokens)
    return Blocks(block_ids=torch.tensor(blocks, device=device), num_tokens=num_tokens)


def key_sources(
    block_table: Sequence[int], num_tokens: int, block_size: int, device: torch.device
) -> tuple[KeySource, ...]:
    """The first ``num_tokens`` >= 0 tokens of a block table in as few pieces as is cheap."""
    blocks = block_table[: -(-num_tokens // block_size)]
    begins = [i for i in range(len(blocks)) if i == 0 or blocks[i] != blocks[i - 1] + 1]
    if len(begins) > MAX_RUNS:
        return (key_source(blocks, num_tokens, block_size, device),)
    ends = [*begins[1:], len(blocks)]
    return tuple(
        key_source(
            blocks[begin:end],
            min(end * block_size, num_tokens) - begin * block_size,
            block_size,
            device,
        )
        for begin, end in zip(begins, ends, strict=False)
    )


def is_run(blocks: Sequence[int]) -> bool:
    """Whether the blocks lie side by side, in order."""
    return all(right == left + 1 for left, right in pairwise(blocks))
