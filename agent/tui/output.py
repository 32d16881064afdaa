"""A command's output as it is kept for showing: all of a usual one, head and tail of a flood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

_HEAD_CHARS: Final = 64 * 1024
_TAIL_CHARS: Final = 192 * 1024
"""Kept of the end; up to twice as much between two cuts, so that a flood is cut seldom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Text with everything still in it that the program wrote, escape codes too."""

    head: str = ""
    tail: str = ""
    num_dropped: int = 0
    """Characters left out between head and tail."""

    def plus(self, text: str) -> Output:
        """The output with more behind it."""
        if not self.tail and len(self.head) + len(text) <= _HEAD_CHARS:
            return replace(self, head=self.head + text)
        tail = self.tail + text
        if len(tail) <= 2 * _TAIL_CHARS:
            return replace(self, tail=tail)
        kept = tail[-_TAIL_CHARS:]
        num_dropped = self.num_dropped + len(tail) - len(kept)
        return Output(head=self.head, tail=kept, num_dropped=num_dropped)

    @property
    def num_chars(self) -> int:
        """Of the whole, with what was left out."""
        return len(self.head) + self.num_dropped + len(self.tail)

    @property
    def text(self) -> str:
        """What is kept, with a line that tells of the gap."""
        if not self.num_dropped:
            return self.head + self.tail
        return f"{self.head}\n… {self.num_dropped:,} characters left out …\n{self.tail}"

    def last_chars(self, count: int) -> str:
        """The end of it, for showing while it grows."""
        return self.tail[-count:] if len(self.tail) >= count else (self.head + self.tail)[-count:]
