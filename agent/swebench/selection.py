"""Which instances of a data set a run is about."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.instance import Instance

DEFAULT_SEED: Final = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Applied in the order ids, shuffle, filter, slice, limit, each to what the one before left.

    Shuffle, filter and slice mean what they mean to mini-SWE-agent, with the same outcome.
    https://github.com/SWE-agent/mini-swe-agent/blob/main/src/minisweagent/run/benchmarks/swebench.py
    """

    ids: tuple[str, ...] = ()
    """Only these, in the data set's order; empty: all."""
    shuffle: bool = False
    seed: int = DEFAULT_SEED
    filter: str = ""
    """A regular expression that matches from the start of the id."""
    slice: str = ""
    """``start:stop:step``, as Python has it."""
    limit: int | None = None
    """No more than this many."""

    def apply(self, instances: Sequence[Instance]) -> tuple[Instance, ...]:
        """The chosen ones, in order.

        Raises:
            UsageError: an id is not there, the expression or slice is malformed, nothing is left.
        """
        chosen = self._with_ids(instances)
        if self.shuffle:
            chosen.sort(key=lambda instance: instance.instance_id)
            random.Random(self.seed).shuffle(chosen)
        pattern = self._pattern()
        chosen = [instance for instance in chosen if pattern.match(instance.instance_id)]
        chosen = chosen[self._slice()][: self.limit]
        if not chosen:
            raise UsageError(f"No instance is selected, of {len(instances):,}: {self}.")
        return tuple(chosen)

    def _with_ids(self, instances: Sequence[Instance]) -> list[Instance]:
        known = [instance.instance_id for instance in instances]
        missing = [name for name in self.ids if name not in known]
        if missing:
            raise UsageError("\n".join(_unknown(name, known) for name in missing))
        wanted = set(self.ids) or set(known)
        return [instance for instance in instances if instance.instance_id in wanted]

    def _pattern(self) -> re.Pattern[str]:
        try:
            return re.compile(self.filter)
        except re.error as exc:
            raise UsageError(
                f"The filter {self.filter!r} is no regular expression: {exc}."
            ) from exc

    def _slice(self) -> slice:
        parts = self.slice.split(":")
        try:
            bounds = [int(part) if part.strip() else None for part in parts]
            wanted = slice(*bounds)
            wanted.indices(0)  # refuses a step of nothing
        except (ValueError, TypeError) as exc:
            raise UsageError(
                f"The slice {self.slice!r} is malformed.", hint="such as 0:5, 10: or ::2"
            ) from exc
        return wanted


def _unknown(name: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"There is no instance {name}.{meant}"
