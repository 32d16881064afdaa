"""How sure a score is: intervals of shares, and the paired comparison of two runs.

Exact where that is cheap; no library is needed for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

_Z: Final = 1.959963984540054
"""Of a two-sided 95 % interval."""


class Interval(NamedTuple):
    low: float
    high: float


def wilson(num_hits: int, num: int) -> Interval:
    """The 95 % score interval of a share (Wilson 1927), which holds for small numbers too.

    Args:
        num_hits: successes.
        num: trials; of none, nothing is known.
    """
    if not num:
        return Interval(0.0, 1.0)
    share = num_hits / num
    scale = 1 + _Z**2 / num
    middle = (share + _Z**2 / (2 * num)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / num + _Z**2 / (4 * num**2))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def mcnemar(num_only_first: int, num_only_second: int) -> float:
    """The exact two-sided p-value (McNemar 1947): where the two differ, does a fair coin do so?"""
    num = num_only_first + num_only_second
    fewer = min(num_only_first, num_only_second)
    tail = sum(math.comb(num, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / 2**num)


def paired_difference(num_only_first: int, num_only_second: int, num: int) -> Interval:
    """The 95 % interval of the second share less the first, over the same ``num`` pairs.

    The adjusted Wald interval of Agresti and Min (2005), https://doi.org/10.1002/sim.1781.
    """
    adjusted = num + 2
    difference = num_only_second - num_only_first
    spread = num_only_first + num_only_second + 1 - difference**2 / adjusted
    half = _Z * math.sqrt(spread) / adjusted
    middle = difference / adjusted
    return Interval(max(-1.0, middle - half), min(1.0, middle + half))


def quantile(values: Sequence[float], fraction: float) -> float:
    """Between the nearest two of the sorted values; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    at = fraction * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def nice_step(width: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(
        factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= width * (1 - 1e-9)
    )
