"""Notice a model that repeats itself: the same calls with the same results, or nearly so.

Pure: what it says depends on nothing but what it was shown. What makes two calls alike:
``agent.likeness``; what changes of the files lead nowhere: ``agent.circles``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from rnj_agent.agent.circles import Circles
from rnj_agent.agent.likeness import Deed
from rnj_agent.agent.workspace import Evidence

_MAX_PERIOD: Final = 3
_STOP_AT_REPEATS: Final = {1: 5, 2: 4, 3: 4}
"""How many rounds of the same 1, 2 or 3 calls end the run."""
_NEAR_PATIENCE: Final = 1
"""More rounds are granted to calls that are only nearly the same."""
_NUDGE_AT_STALE: Final = 8
_STOP_AT_STALE: Final = 12
"""Calls in a row, in whatever order, that were all made before with the same results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    nudge: str = ""
    """To be appended to the result: one line."""
    is_retry: bool = False
    """Whether the next request asks for what was asked before, so that it is drawn differently."""
    stop: bool = False
    why: str = ""
    """What was repeated, in words; only where it is more than once."""

    @property
    def gravity(self) -> tuple[bool, bool, bool, bool]:
        return self.stop, bool(self.why), self.is_retry, bool(self.nudge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a sequence ends in."""

    period: int
    rounds: int
    """How often it came, the first time included."""
    stop: bool
    is_second: bool
    """Whether the second round is the last one that is whole."""

    @property
    def gravity(self) -> tuple[bool, bool, int]:
        return self.stop, not self.is_second, self.rounds


class LoopGuard:
    """One start of a run.

    Args:
        nudges: whether the model is told, and what it is asked next is a retry.
        stops: whether it may end the run.
    """

    def __init__(self, *, nudges: bool = True, stops: bool = True) -> None:
        self._nudges = nudges
        self._stops = stops
        self._seen: deque[int] = deque(maxlen=_MAX_PERIOD * max(_STOP_AT_REPEATS.values()))
        self._near: deque[int] = deque(
            maxlen=_MAX_PERIOD * (max(_STOP_AT_REPEATS.values()) + _NEAR_PATIENCE)
        )
        self._known: set[int] = set()
        """Near keys since the files were last as never before."""
        self._num_stale = 0
        self.circles = Circles()
        self.is_retry = False
        """Whether the next request asks for what was asked before."""

    def note(self, evidence: Evidence, *, is_change: bool = False) -> None:
        """Take note of what the call that is observed next did to the files."""
        self.circles.note(evidence, is_change=is_change)
        if self.circles.is_new:  # white space may be all that was to be changed
            self._known.clear()
            self._near.clear()

    def note_rejection(self) -> None:
        """Take note of a submission that was sent back."""
        self.circles.num_vain += 1

    def observe(self, deed: Deed) -> Verdict:
        """Take note of one call and its result."""
        self._seen.append(deed.key)
        self._near.append(deed.near_key)
        is_stale = deed.near_key in self._known
        self._num_stale = self._num_stale + 1 if is_stale else 0
        self.circles.num_vain += is_stale
        self._known.add(deed.near_key)
        circles, self.circles.nudge = self.circles.nudge, ""
        verdicts = [
            Verdict(nudge=circles),
            self._of_pattern(judge(list(self._seen)), deed),
            self._of_pattern(judge(list(self._near), patience=_NEAR_PATIENCE), deed),
            self._of_stale(),
        ]
        verdict = max(verdicts, key=lambda verdict: verdict.gravity)
        if not self._stops:
            verdict = replace(verdict, stop=False)
        if not self._nudges:
            verdict = Verdict(stop=verdict.stop, why=verdict.why)
        elif verdict.nudge:
            verdict = replace(verdict, nudge=f"[{verdict.nudge}]")
        self.is_retry = verdict.is_retry
        return verdict

    def _of_pattern(self, pattern: Pattern | None, deed: Deed) -> Verdict:
        if pattern is None:
            return Verdict()
        what, result = deed.what, "failure" if deed.is_error else "result"
        if pattern.period > 1:
            what, result = f"The last {pattern.period} calls were made", "results"
        if pattern.is_second:
            return Verdict(
                nudge=f"{what} before with the same {result}. "
                "Repeating it will not help: do something else.",
                is_retry=True,
            )
        why = f"{what} {pattern.rounds} times with the same {result}"
        nudge = f"{why}. Stop repeating: look at another file, make another change, or submit."
        return Verdict(nudge=nudge, is_retry=True, stop=pattern.stop, why=why)

    def _of_stale(self) -> Verdict:
        if self._num_stale < _NUDGE_AT_STALE:
            return Verdict()
        why = f"The last {self._num_stale} calls showed nothing new"
        return Verdict(
            nudge=f"{why}. Make a change, or submit.",
            is_retry=True,
            stop=self._num_stale >= _STOP_AT_STALE,
            why=why,
        )


def judge(seen: list[int], *, patience: int = 0) -> Pattern | None:
    """The gravest pattern in which the sequence ends.

    Args:
        seen: what was done, oldest first.
        patience: rounds that are granted beyond the usual ones.
    """
    found: list[Pattern] = []
    for period in range(1, _MAX_PERIOD + 1):
        length = _periodic_tail(seen, period) - patience * period
        if length >= 2 * period:
            found.append(
                Pattern(
                    period=period,
                    rounds=length // period + patience,
                    stop=length >= _STOP_AT_REPEATS[period] * period,
                    is_second=length <= 2 * period,
                )
            )
    return max(found, key=lambda pattern: pattern.gravity, default=None)


def _periodic_tail(seen: list[int], period: int) -> int:
    """How many of the last items repeat the item ``period`` before them, that period included."""
    length = min(period, len(seen))
    while length < len(seen) and seen[-length - 1] == seen[-length - 1 + period]:
        length += 1
    return length
