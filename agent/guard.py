"""Notice a model that repeats itself: the same calls with the same results.

Pure: what it says depends on nothing but what it was shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_PERIOD = 3
_STOP_AT_REPEATS = {1: 5, 2: 4, 3: 4}
"""How many rounds of the same 1, 2 or 3 calls end the run."""
_RAISED_TEMPERATURE = 0.7
"""Enough to leave a greedy loop, while most calls still parse."""
_HIGH_TEMPERATURE = 1.0
_VOLATILE = re.compile(r"\d+\.\d+ ?(?:s|ms|seconds)\b|\b\d\d:\d\d:\d\d\b|0x[0-9a-f]{6,}")
"""Durations, clock times and addresses differ between results that are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    num_repeats: int = 1
    """Rounds so far of the pattern at the end; 1: nothing repeats."""
    nudge: str = ""
    """To be appended to the result."""
    temperature: float | None = None
    """For the next request."""
    stop: bool = False

    @property
    def gravity(self) -> tuple[bool, float]:
        return self.stop, self.temperature or 0.0


class LoopGuard:
    def __init__(self) -> None:
        self._seen: list[int] = []
        self.temperature: float | None = None
        """For the next request; None: as configured."""

    def observe(self, action: str, result: str) -> Verdict:
        """Take note of one call and its result."""
        self._seen.append(hash((action, _VOLATILE.sub("", result))))
        del self._seen[: -_MAX_PERIOD * max(_STOP_AT_REPEATS.values())]
        verdict = judge(self._seen)
        self.temperature = verdict.temperature
        return verdict


def judge(seen: list[int]) -> Verdict:
    """The gravest that can be said of the pattern in which the sequence ends."""
    tails = ((period, _periodic_tail(seen, period)) for period in range(1, _MAX_PERIOD + 1))
    verdicts = [_verdict(period, length) for period, length in tails if length >= 2 * period]
    return max(verdicts, key=lambda verdict: verdict.gravity, default=Verdict())


def _periodic_tail(seen: list[int], period: int) -> int:
    """How many of the last items repeat the item ``period`` before them, that period included."""
    length = min(period, len(seen))
    while length < len(seen) and seen[-length - 1] == seen[-length - 1 + period]:
        length += 1
    return length


def _verdict(period: int, length: int) -> Verdict:
    repeats = length // period
    what = "This call gave this result"
    if period > 1:
        what = f"The last {period} calls gave these results"
    if length <= 2 * period:
        nudge = f"[{what} before. Repeating it will not help: do something else.]"
        return Verdict(num_repeats=repeats, nudge=nudge, temperature=_RAISED_TEMPERATURE)
    nudge = (
        f"[{what} {repeats} times now. Stop repeating. Think about what you have learned, "
        "and take a different step: look at another file, make the edit, or submit.]"
    )
    stop = length >= _STOP_AT_REPEATS[period] * period
    return Verdict(num_repeats=repeats, nudge=nudge, temperature=_HIGH_TEMPERATURE, stop=stop)
