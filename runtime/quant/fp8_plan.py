"""How an FP8 product is computed, for each number of rows: by default, or as measured.

M rows of activations, N output features, K input features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

MAX_SKINNY_ROWS = 32
"""Rows up to which a product is bound by reading its weight."""
NARROW_ROWS = 16
"""Rows of the smallest tile that tensor cores take."""
RESERVED_BYTES = 1 << 10
"""Shared memory of a program that is not its own (CUDA's programming guide, compute capability)."""
MIN_PART = 1024
"""Columns of a program's part, below which starting it costs more than it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinnyConfig:
    """How a product of few rows is cut into programs: see ``kernels/gpu/skinny_gemm.py``.

    ``split_k``, ``block_k`` and ``weight_first`` decide in which order a row is summed.
    """

    split_k: int
    """Programs that share the columns of the same features."""
    block_n: int = 64
    """Features of a program."""
    block_k: int = 256
    """Columns of a tile."""
    weight_first: bool = True
    """weight @ x.T in the weight's own format, which Hopper's tensor cores take from shared
    memory, 64 features and 8 rows at a time or more; else x @ weight.T in 16 bits, on any card."""
    num_warps: int = 4
    num_stages: int = 4
    """Tiles in flight."""

    @property
    def order(self) -> tuple[int, int, bool]:
        """The same for products whose rows must come out the same."""
        return self.split_k, self.block_k, self.weight_first


@dataclass(frozen=True, slots=True, kw_only=True)
class Fp8Plan:
    """Of one weight, or of all weights of one shape."""

    narrow: SkinnyConfig
    """Up to ``NARROW_ROWS``."""
    wide: SkinnyConfig
    """Up to ``skinny_rows``."""
    skinny_rows: int = MAX_SKINNY_ROWS
    """More go through ``torch._scaled_mm``; 0: all."""
    fused_rows: int = 0
    """Up to so many are quantised by the product itself, if they come in 16 bits."""
    use_fast_accum: bool = True
    """Of ``torch._scaled_mm``: add in the tensor cores' own registers, in fewer bits."""

    def __post_init__(self) -> None:
        """Hold what speculation relies on: a row's result does not tell how many there were."""
        assert self.narrow.order == self.wide.order
        assert self.skinny_rows <= MAX_SKINNY_ROWS

    def skinny(self, num_rows: int) -> SkinnyConfig:
        return self.narrow if num_rows <= NARROW_ROWS else self.wide


class Card(NamedTuple):
    """What plans depend on."""

    capability: tuple[int, int]
    """Compute capability, as (9, 0)."""
    num_processors: int
    shared_bytes: int
    """Shared memory of a multiprocessor."""


SMALLEST_FP8_CARD = Card((8, 9), 24, 100 << 10)
"""Stands for a device that is no card, where plans only have to be valid."""


def card_of(device: torch.device) -> Card:
    if device.type != "cuda":
        return SMALLEST_FP8_CARD
    properties = torch.cuda.get_device_properties(device)
    return Card(
        (properties.major, properties.minor),
        properties.multi_processor_count,
        properties.shared_memory_per_multiprocessor,
    )


def default_config(
    out_features: int, in_features: int, card: Card, *, element_bytes: int = 1
) -> SkinnyConfig:
    """As few parts as leave the fewest processors idle while the last programs run.

    Args:
        out_features: N.
        in_features: K.
        card: where.
        element_bytes: of the weight; tiles are as many bytes in each format.
    """
    config = SkinnyConfig(
        split_k=1, block_k=256 // element_bytes, weight_first=card.capability >= (9, 0)
    )
    program_bytes = config.num_stages * (config.block_n + NARROW_ROWS) * 256 + RESERVED_BYTES
    at_once = card.num_processors * max(1, card.shared_bytes // program_bytes)
    num_tiles = -(-out_features // config.block_n)

    def share_of_rounds(split_k: int) -> float:
        """That have work, of the rounds in which the card takes programs: to a tenth."""
        num_programs = num_tiles * split_k
        return round(num_programs / (-(-num_programs // at_once) * at_once), 1)

    splits = [1]
    while num_tiles * splits[-1] < at_once and in_features >= 2 * splits[-1] * MIN_PART:
        splits.append(2 * splits[-1])
    return replace(config, split_k=max(splits, key=share_of_rounds))


def default_plan(out_features: int, in_features: int, card: Card) -> Fp8Plan:
    """See ``default_config``."""
    config = default_config(out_features, in_features, card)
    return Fp8Plan(narrow=config, wide=config)


def alternatives(config: SkinnyConfig) -> Iterator[SkinnyConfig]:
    """What is worth measuring beside a default: other parts, other tiles, another depth."""
    for split_k in sorted({max(1, config.split_k // 2), config.split_k, 2 * config.split_k}):
        split = replace(config, split_k=split_k)
        yield split
        yield replace(split, num_stages=3)
        yield replace(split, num_stages=6)
        yield replace(split, block_n=128)
        yield replace(split, block_k=128, num_stages=8)
        yield replace(split, block_n=128, block_k=128, num_stages=6)
        yield replace(split, block_k=512, num_stages=3)
        yield replace(split, block_n=32, weight_first=False, num_stages=5)
        yield replace(split, block_n=64, weight_first=False)


def wide_alternatives(narrow: SkinnyConfig) -> Iterator[SkinnyConfig]:
    """For more rows: what sums in the same order."""
    yield narrow
    for block_n in (64, 128):
        for num_stages in (3, 4):
            yield replace(narrow, block_n=block_n, num_stages=num_stages)
    yield replace(narrow, block_n=128, num_warps=8)
