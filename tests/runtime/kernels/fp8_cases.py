"""Random rows for FP8 kernels, and how far their results may be from the definition."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.quant.fp8 import Fp8Rows, Fp8Weight, quantize_weight
from tests.runtime.kernels.kernel_device import DEVICE

NUM_SEEDS = 10
SHAPES_OF_A_SEED = 20
"""200 shapes of each kernel."""
BF16_STEP = 2.0**-8
"""Between neighbours, of their size at most."""


def shapes(seed: int, *, max_rows: int = 32) -> Iterator[tuple[int, int, int, random.Random]]:
    """Rows, features, columns: few, more often small, and rarely a multiple of anything."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    for _ in range(SHAPES_OF_A_SEED):
        num_features, num_columns = (
            min(rng.randint(low, high) for _ in range(2)) for low, high in ((16, 300), (32, 700))
        )
        yield rng.randint(1, max_rows), num_features, num_columns, rng


def random_rows(num_rows: int, num_columns: int, rng: random.Random) -> Tensor:
    """bfloat16, each row of its own size, some with one number far above the rest, some all 0."""
    x = torch.randn(num_rows, num_columns)
    x *= torch.tensor([[10.0 ** rng.uniform(-9, 9)] for _ in range(num_rows)])
    for row in range(num_rows):
        match rng.randrange(8):
            case 0:
                x[row] = 0
            case 1:
                x[row, rng.randrange(num_columns)] *= 1000
            case _:
                pass
    return x.bfloat16().to(DEVICE)


def random_norm(size: int) -> RMSNorm:
    return RMSNorm((1 + 0.2 * torch.randn(size)).to(DEVICE), 1e-6)


def random_fp8_weight(num_features: int, num_columns: int) -> Fp8Weight:
    weight = quantize_weight(torch.randn(num_features, num_columns))
    return Fp8Weight(weight.data.to(DEVICE), weight.scale.to(DEVICE))


def bits(data: Tensor) -> Tensor:
    """Of FP8, with one zero: which of the two it is changes no product."""
    raw = data.view(torch.uint8)
    return torch.where(raw == 0x80, 0, raw).int()


def assert_same_rows(ours: Fp8Rows, theirs: Fp8Rows, *, max_moved: float = 0.0) -> None:
    """Compare two quantisations.

    Args:
        ours: the kernel's.
        theirs: the twin's.
        max_moved: the share of numbers that may be one step apart, because what was quantised
            had been rounded the other way; scales may then be a bfloat16 step apart.
    """
    torch.testing.assert_close(
        ours.scale, theirs.scale, rtol=BF16_STEP if max_moved else 0.0, atol=0.0, equal_nan=True
    )
    apart = (bits(ours.data) - bits(theirs.data)).abs()
    assert apart.max() <= (1 if max_moved else 0)
    assert (apart != 0).float().mean() <= max_moved
