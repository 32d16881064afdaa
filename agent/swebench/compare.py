"""Two runs side by side, instance by instance: is one better, or was it luck?

Only instances that both have judged are compared. An instance without a patch is judged: it is not
resolved. One whose patch nobody evaluated is left out, and so is one that only one run has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.swebench.report.report import Report
from rnj_agent.agent.swebench.report.row import Row
from rnj_agent.agent.swebench.statistics import (
    Interval,
    mcnemar,
    paired_difference,
    quantile,
)

_NOT_COMPARED: Final = ("run_id", "created_at", "versions.")
"""Settings that differ between any two runs, and mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What two runs made of one instance."""

    first: Row
    second: Row

    @property
    def instance_id(self) -> str:
        return self.first.instance_id

    @property
    def resolved(self) -> tuple[bool, bool]:
        return self.first.verdict == "resolved", self.second.verdict == "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting that the two do not share."""

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    first: Report
    second: Report
    pairs: tuple[Pair, ...]
    """By id; of instances that both have judged."""

    @property
    def num(self) -> int:
        return len(self.pairs)

    def ids(self, *, first: bool, second: bool) -> list[str]:
        """Instances that the runs resolved or not, as said."""
        return [pair.instance_id for pair in self.pairs if pair.resolved == (first, second)]

    @property
    def p_value(self) -> float:
        return mcnemar(*self._discordant)

    @property
    def difference(self) -> float:
        """Share resolved by the second, less that of the first."""
        only_first, only_second = self._discordant
        return (only_second - only_first) / self.num if self.num else 0.0

    @property
    def interval(self) -> Interval:
        return paired_difference(*self._discordant, self.num)

    def num_left_out(self, report: Report) -> int:
        """Finished instances of one of the two that have no partner."""
        return len(report.rows) - self.num

    def medians(self, figure: Callable[[Row], float]) -> tuple[float, float]:
        """Of a figure, over the compared instances."""
        return (
            quantile([figure(pair.first) for pair in self.pairs], 0.5),
            quantile([figure(pair.second) for pair in self.pairs], 0.5),
        )

    @property
    def differences(self) -> list[Difference]:
        return list(_differences(self.first, self.second))

    @property
    def _discordant(self) -> tuple[int, int]:
        only_first = self.ids(first=True, second=False)
        only_second = self.ids(first=False, second=True)
        return len(only_first), len(only_second)


def compare(first: Report, second: Report) -> Comparison:
    """Pair the instances of two runs."""
    others = {row.instance_id: row for row in second.rows if row.verdict != "open"}
    pairs = tuple(
        Pair(first=row, second=others[row.instance_id])
        for row in first.rows
        if row.verdict != "open" and row.instance_id in others
    )
    return Comparison(first=first, second=second, pairs=pairs)


def _differences(first: Report, second: Report) -> Iterator[Difference]:
    before = {setting.name: setting.value for setting in first.settings}
    now = {setting.name: setting.value for setting in second.settings}
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name) and not name.startswith(_NOT_COMPARED):
            yield Difference(name=name, first=before.get(name, ""), second=now.get(name, ""))
