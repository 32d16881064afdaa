"""Where each step begins among the blocks, so that steps can be undone on the screen as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.agent.tui.blocks import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    number: int
    start: int
    """Its first block, with what the person said right before it."""
    begins_turn: bool


_Undone: TypeAlias = tuple[list[Block], list[_Step]]


class Steps:
    """Numbers grow through the whole session; an undone one never comes again."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._said_at: int | None = None
        self._before_undo: _Undone | None = None

    def say(self, index: int) -> None:
        """The person's words stand at this block; the step behind them begins there."""
        if self._said_at is None:
            self._said_at = index

    def begin(self, number: int, num_blocks: int) -> None:
        said_at, self._said_at = self._said_at, None
        start = num_blocks if said_at is None else min(said_at, num_blocks)
        self._steps.append(_Step(number=number, start=start, begins_turn=said_at is not None))

    @property
    def last_turn(self) -> int | None:
        """The first step behind what the person said last."""
        turns = (step.number for step in reversed(self._steps) if step.begins_turn)
        return next(turns, None)

    def undo(self, number: int, blocks: list[Block]) -> int:
        """The first block that is undone from a step on; the blocks are kept for ``redo``."""
        self._before_undo = list(blocks), self._steps
        self._said_at = None
        start = next((step.start for step in self._steps if step.number >= number), len(blocks))
        self._steps = [step for step in self._steps if step.number < number]
        return min(start, len(blocks))

    def redo(self) -> list[Block] | None:
        """The blocks as they were before the last undo; None: there was none."""
        if self._before_undo is None:
            return None
        (blocks, self._steps), self._before_undo = self._before_undo, None
        return blocks
