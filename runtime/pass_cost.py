"""What a forward pass of so many rows costs, relative to other numbers of rows.

Learned from pairs of passes that follow each other and differ in their rows: whatever else moves
the cost (the context grows, other programs take cores) is the same for both. The cost of a number
of rows is the median of its latest comparisons with fewer rows, so an odd pass, such as the first
of its size, changes nothing.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping

PRIOR_PER_ROW = 0.1
"""Relative cost of each further row until it is measured: a pass mostly reads weights."""
NUM_COMPARISONS = 9
MIN_SECONDS = 1e-6
"""A clock that stood still says nothing, and has no logarithm."""


class PassCost:
    """Knows nothing of seconds: only ratios of what ``relative`` returns have a meaning."""

    def __init__(self) -> None:
        self._previous: tuple[int, float] | None = None
        """Rows and seconds of the last pass."""
        self._logarithms: dict[int, deque[float]] = {}

    def calibrate(self, seconds: Mapping[int, float]) -> None:
        """Take measured passes, seconds by number of rows, instead of the prior."""
        base_s = max(seconds[1], MIN_SECONDS)
        self._logarithms = {
            num_rows: deque([math.log(max(pass_s, MIN_SECONDS) / base_s)], maxlen=NUM_COMPARISONS)
            for num_rows, pass_s in seconds.items()
            if num_rows > 1
        }

    def observe(self, num_rows: int, seconds: float) -> None:
        """A pass of ``num_rows`` rows in all, of however many sequences, took so long."""
        assert num_rows >= 1
        previous, self._previous = self._previous, (num_rows, max(seconds, MIN_SECONDS))
        if previous is None or previous[0] == num_rows:
            return
        (fewer, less_s), (more, more_s) = sorted((previous, self._previous))
        prior = math.log(self.relative(more))
        latest = self._logarithms.setdefault(more, deque([prior], maxlen=NUM_COMPARISONS))
        latest.append(math.log(self.relative(fewer)) + math.log(more_s / less_s))

    def relative(self, num_rows: int) -> float:
        """Measured, else on the line between the measured ones around it."""
        if num_rows in self._logarithms:
            return math.exp(statistics.median_low(self._logarithms[num_rows]))
        below = max((rows for rows in self._logarithms if rows < num_rows), default=1)
        above = min((rows for rows in self._logarithms if rows > num_rows), default=None)
        base = 1.0 if below == 1 else self.relative(below)
        if above is not None:
            share = (num_rows - below) / (above - below)
            return base + share * (self.relative(above) - base)
        per_row = PRIOR_PER_ROW if below == 1 else max(PRIOR_PER_ROW, (base - 1) / (below - 1))
        return base + per_row * (num_rows - below)
