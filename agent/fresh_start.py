"""When a run that is stuck begins anew instead of ending, and what its model is told then.

Pure. What it takes to begin anew (files put back, history cut) is the loop's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from rnj_agent.agent.circles import Circles
from rnj_agent.agent.ending import Ending
from rnj_agent.agent.events import FinishReason
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.limits import Limits, Spent, exceeded
from rnj_agent.agent.wording import counted

_MENDED: Final[frozenset[FinishReason]] = frozenset(["loop", "format_errors", "context_full"])
"""Endings that an empty history may help out of."""
_MAX_TOLD: Final = 3
"""Starts that the model is told of, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How replies are drawn."""

    temperature: float | None = None
    """None: as the model is configured."""
    seed: int | None = None
    """As ``temperature``."""


@dataclass(slots=True)
class FreshStarts:
    """Told of steps and endings, it says when to begin anew."""

    harness: Harness
    limits: Limits
    possible: bool = field(kw_only=True)
    """Whether the run is after a patch: any other is its person's to begin anew."""
    _num_begun: int = field(default=0, init=False)
    _num_steps_before: int = field(default=0, init=False)
    """Of the run, when this start began."""
    _tried: list[str] = field(default_factory=list[str], init=False)

    @property
    def number(self) -> int:
        """Of this start, from 1."""
        return self._num_begun + 1

    @property
    def _remain(self) -> bool:
        return self.possible and self._num_begun < self.harness.fresh_starts

    def due(self, circles: Circles, spent: Spent) -> Ending | None:
        """What speaks against going on where the run stands; never where no start remains.

        Args:
            circles: what this start's changes came to.
            spent: by the run so far.
        """
        if not self._remain:
            return None
        if circles.stuck:
            return Ending("loop", circles.stuck)
        tries = self.harness.tries_per_start
        if tries is not None and circles.num_vain >= tries:
            return Ending("loop", f"{counted(circles.num_vain, 'step')} in vain")
        most, taken = self.harness.steps_per_start, spent.num_steps - self._num_steps_before
        if most is not None and taken >= most and circles.is_wanting and not circles.is_gain:
            return Ending("loop", f"{counted(taken, 'step')} did not fix it")
        return None

    def mends(self, ending: Ending, spent: Spent) -> bool:
        """Whether to begin anew in place of this ending.

        Not where this start has taken no step: what the model is told first is too much already.
        Nor where no step is left to take.
        """
        if not self._remain or ending.reason not in _MENDED:
            return False
        is_over = exceeded(replace(spent, num_format_errors=0), self.limits) is not None
        return spent.num_steps > self._num_steps_before and not is_over

    def begin(self, ending: Ending, tried: str, spent: Spent) -> str:
        """Count a new start: the note that the model is told, or nothing.

        Args:
            ending: of the last one.
            tried: what it changed, and what came of it, in few lines; empty: nothing.
            spent: by the run so far.
        """
        self._num_begun += 1
        self._num_steps_before = spent.num_steps
        if tried and tried not in self._tried:
            self._tried.append(tried)
        if not self.harness.retry_notes:
            return ""
        what = "\n".join(self._tried[-_MAX_TOLD:]) or "Nothing was changed."
        times = "" if self._num_begun == 1 else f" {self._num_begun} times"
        detail = ending.detail[:1].lower() + ending.detail[1:]
        why = "it grew too long" if ending.reason == "context_full" else detail
        return (
            f"You tried this before{times}, and it is undone now:\n{what}\n"
            f"It was given up because {why}. Take another way."
        )

    def sampling(self, configured: Sampling) -> Sampling:
        """Of this start: the first as configured, each other one differently."""
        if self._num_begun == 0:
            return Sampling()
        return Sampling(
            temperature=self.retry_temperature(configured),
            seed=(configured.seed or 0) + self.number,
        )

    def retry_temperature(self, configured: Sampling) -> float:
        """Of what is asked for again: never below the configured one."""
        return max(configured.temperature or 0.0, self.harness.retry_temperature)
