"""Notice changes that lead nowhere: made again after they were undone, or all with one failure.

Pure: told after each call what the files hold and how the tests fail, where that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rnj_agent.agent.likeness import same_failure
from rnj_agent.agent.workspace import UNCHANGED, Evidence

_STUCK_AT_MADE: Final = 3
"""How often the same change is made, and undone in between."""
_NUDGE_AT_FAILURES: Final = 3
_STUCK_AT_FAILURES: Final = 6
"""Different changes, one after the other, that all leave the same failure."""


@dataclass(slots=True)
class Circles:
    """One start of a run."""

    nudge: str = field(default="", init=False)
    """What the model should know after the last call; empty: nothing."""
    stuck: str = field(default="", init=False)
    """Why these changes lead nowhere, in words; empty while they may."""
    is_new: bool = field(default=False, init=False)
    """Whether the last call brought the files to a state in which they never were."""
    is_gain: bool = field(default=False, init=False)
    """Whether the last call made fewer tests fail than ever."""
    is_wanting: bool = field(default=False, init=False)
    """Whether nothing is changed, or the tests fail with what is; False where that is not known."""
    num_vain: int = field(default=0, init=False)
    """Tries that did not help: changes after which the tests fail, that changed nothing, or that
    were submitted and sent back; and calls that showed again what they had shown."""
    _state: str = field(default=UNCHANGED, init=False)
    _states: set[str] = field(default_factory=lambda: {UNCHANGED}, init=False)
    _made: dict[tuple[str, str], int] = field(
        default_factory=dict[tuple[str, str], int], init=False
    )
    """How often the files went from one state straight to another."""
    _failure: str = field(default="", init=False)
    _num_same: int = field(default=0, init=False)
    _fewest: int | None = field(default=None, init=False)

    def note(self, evidence: Evidence, *, is_change: bool = False) -> None:
        """Take note of what a call did to the files.

        Args:
            evidence: of the files behind it.
            is_change: whether it was one that is there to change them.
        """
        self.nudge = ""
        self.is_new = self.is_gain = False
        if not evidence.state:
            return
        before, now = self._state, evidence.state
        if now == before:
            self.num_vain += is_change
            self.is_wanting |= now == UNCHANGED
            return
        self._state = now
        self.is_new = now not in self._states
        self._states.add(now)
        self.is_wanting = now == UNCHANGED or bool(evidence.failure)
        self._count_failed(evidence.num_failed)
        self.num_vain += now != UNCHANGED and bool(evidence.failure) and not self.is_gain
        self._count_made(before, now)
        if self.is_new:
            self._count_failure(same_failure(evidence.failure))

    def _count_failed(self, num_failed: int | None) -> None:
        if num_failed is None:
            return
        self.is_gain = self._fewest is not None and num_failed < self._fewest
        self._fewest = num_failed if self._fewest is None else min(num_failed, self._fewest)

    def _count_made(self, before: str, now: str) -> None:
        if now == UNCHANGED:
            return
        num_made = self._made[before, now] = self._made.get((before, now), 0) + 1
        if num_made > 1:
            self.nudge = "This change was made and undone before. Make another one."
        if num_made >= _STUCK_AT_MADE:
            self.stuck = f"the same change was made {num_made} times and undone in between"

    def _count_failure(self, failure: str) -> None:
        self._num_same = self._num_same + 1 if failure and failure == self._failure else 1
        self._failure = failure
        if self._num_same >= _NUDGE_AT_FAILURES:
            self.nudge = (
                f"The last {self._num_same} changes all left the same failure. "
                "Look for its cause elsewhere."
            )
        if self._num_same >= _STUCK_AT_FAILURES:
            self.stuck = f"{self._num_same} different changes left the same failure"
