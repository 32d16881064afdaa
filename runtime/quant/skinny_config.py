"""How a skinny product is cut into programs: what is chosen by measuring, and what by default.

M rows of activations, N output features, K input features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MAX_SKINNY_ROWS = 32
"""Rows up to which a product is bound by reading its weight."""
MIN_PART = 1024
"""Columns of a program's part, below which starting it costs more than it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinnyConfig:
    """See ``kernels/gpu/skinny_gemm.py``.

    ``split_k``, ``block_k`` and ``weight_first`` decide in which order a row is summed. They
    must be the same for all numbers of rows, so that each row's result is.
    """

    split_k: int
    """Programs that share the columns of the same features."""
    block_n: int = 64
    """Features of a program."""
    block_k: int = 256
    """Columns of a tile: 16 bytes or more for each thread that reads a row's part."""
    weight_first: bool = True
    """weight @ x.T, in the weight's own format on Hopper's tensor cores, which take 64 features
    of the weight and 16 rows; otherwise x @ weight.T in 16 bits, on any card."""
    num_warps: int = 4
    num_stages: int = 4
    """Tiles in flight."""


def default_config(
    out_features: int, in_features: int, *, capability: tuple[int, int], num_processors: int
) -> SkinnyConfig:
    """Two programs or more for each multiprocessor, if their parts stay long enough.

    Args:
        out_features: N.
        in_features: K.
        capability: of the card, as (9, 0).
        num_processors: its multiprocessors.
    """
    config = SkinnyConfig(split_k=1, weight_first=capability >= (9, 0))
    num_tiles = -(-out_features // config.block_n)
    while (
        num_tiles * config.split_k < 2 * num_processors
        and in_features >= 2 * config.split_k * MIN_PART
    ):
        config = replace(config, split_k=2 * config.split_k)
    return config


def candidates(config: SkinnyConfig) -> list[SkinnyConfig]:
    """What is worth measuring beside a default: other parts, other tiles, another depth."""
    tiles = [
        {},
        {"block_n": 128},
        {"block_n": 128, "block_k": 128},
        {"block_k": 128, "num_stages": 6},
        {"block_k": 512, "num_stages": 3},
        {"num_stages": 3},
        {"num_stages": 6},
        {"block_n": 32, "weight_first": False, "num_stages": 5},
        {"block_n": 64, "weight_first": False},
    ]
    splits = sorted({max(1, config.split_k // 2), config.split_k, 2 * config.split_k})
    return [replace(config, split_k=split_k, **tile) for split_k in splits for tile in tiles]
