"""Finds stop strings in text that arrives in pieces, and holds back no more than it must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StopCheck(NamedTuple):
    text: str
    """What can be shown now."""
    stopped: bool
    """A stop string is complete: ``text`` ends before it and the reply is over."""


class StopStrings:
    """The result does not depend on how the text is cut into pieces.

    The string that is complete first wins; of two that end together, the one that began first.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._held = ""

    def feed(self, text: str) -> StopCheck:
        self._held += text
        matches = [
            (start + len(stop), start)
            for stop in self._stop
            if (start := self._held.find(stop)) >= 0
        ]
        if matches:
            _, start = min(matches)
            shown, self._held = self._held[:start], ""
            return StopCheck(shown, stopped=True)
        split = len(self._held) - self._num_pending()
        shown, self._held = self._held[:split], self._held[split:]
        return StopCheck(shown, stopped=False)

    def finish(self) -> str:
        """The reply ended without a stop string: what was held back is part of it after all."""
        shown, self._held = self._held, ""
        return shown

    def _num_pending(self) -> int:
        """Length of the longest end of the text that may be the beginning of a stop string."""
        longest = max((len(stop) for stop in self._stop), default=0)
        for length in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
