"""A rendered prompt that still knows which control tokens its template wrote.

Whatever a user, a file or a tool says stays text: only a markup segment becomes a control token.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    text: str
    is_markup: bool
    """True: exactly one control token, written by the template. False: text, whatever it spells."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """``str()`` of it is the prompt, byte for byte as the template renders it."""

    segments: tuple[Segment, ...]

    def __str__(self) -> str:
        return "".join(segment.text for segment in self.segments)
