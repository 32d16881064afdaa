"""Which instances of a data set a run is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.agent.swebench.instance import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Applied in this order, each to what the one before left."""

    ids: tuple[str, ...] = ()
    """Only these; empty: all."""
    filter: str = ""
    """A regular expression that matches from the start of the id."""
    shuffle: bool = False
    seed: int = 42
    slice: str = ""
    """``start:stop:step``, as Python has it."""
    limit: int | None = None
    """No more than this many."""

    def apply(self, instances: Sequence[Instance]) -> tuple[Instance, ...]:
        """The chosen ones, in order.

        Raises:
            UsageError: an id is not there, the expression or slice is malformed, nothing is left.
        """
        raise NotImplementedError
