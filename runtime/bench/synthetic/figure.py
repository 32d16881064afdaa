"""One measured number, what the device could do at best, and what a rival did."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Group: TypeAlias = Literal["load", "prefill", "ttft", "decode", "speculation", "memory"]
GROUPS: Final[tuple[Group, ...]] = (
    "load",
    "prefill",
    "ttft",
    "decode",
    "speculation",
    "memory",
)
Unit: TypeAlias = Literal["tokens/s", "s", "ms", "GiB", "GB/s", "x", "%"]
LESS_IS_BETTER: Final[frozenset[Unit]] = frozenset({"s", "ms", "GiB"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The fastest that a measured ceiling allows."""

    value: float
    """In the figure's unit."""
    ceiling: str
    """Of what: "read bandwidth", "fp8 product" or "bf16 product"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    group: Group
    name: str
    unit: Unit
    values: tuple[float, ...]
    """One a run, in their order."""
    limit: Limit | None = None
    rivals: dict[str, float] = field(default_factory=dict[str, float])
    """The same figure of others, in the same run, by their names."""
    detail: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def share(self) -> float | None:
        """Of the limit: 1 cannot be reached, 0.85 is very good."""
        if self.limit is None:
            return None
        return self._times_better(self.limit.value)

    def ratio(self, rival: str) -> float | None:
        """How many times better than a rival; above 1 is better."""
        other = self.rivals.get(rival)
        return None if other is None else self._times_better(other)

    def _times_better(self, other: float) -> float:
        if self.unit in LESS_IS_BETTER:
            return other / self.value
        return self.value / other
