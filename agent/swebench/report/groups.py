"""Rows put together: by repository, by exit status, by the reason why they do not count."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.swebench.report.row import Row, Verdict
from rnj_agent.agent.swebench.statistics import Interval, quantile, wilson

_NUMBER: Final = re.compile(r"\d[\d,.]*")
_MOST_TEXTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some rows under one name."""

    name: str
    rows: tuple[Row, ...]

    @property
    def num(self) -> int:
        return len(self.rows)

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict == verdict for row in self.rows)

    @property
    def num_resolved(self) -> int:
        return self.count("resolved")

    @property
    def num_judged(self) -> int:
        """Whose outcome is settled: what has no patch cannot be resolved any more."""
        return self.num - self.count("open")

    @property
    def num_patches(self) -> int:
        return sum(row.result.chosen is not None for row in self.rows)

    @property
    def share(self) -> float | None:
        """Resolved, of those that are judged."""
        return self.num_resolved / self.num_judged if self.num_judged else None

    @property
    def interval(self) -> Interval:
        return wilson(self.num_resolved, self.num_judged)

    @property
    def median_steps(self) -> float:
        return quantile([row.num_steps for row in self.rows], 0.5)

    @property
    def median_prompt_tokens(self) -> float:
        return quantile([row.num_prompt_tokens for row in self.rows], 0.5)

    @property
    def median_s(self) -> float:
        return quantile([row.duration_s for row in self.rows], 0.5)

    @property
    def most_common_details(self) -> list[tuple[str, int]]:
        """The words that came up most, numbers aside, and how often."""
        return most_common(row.detail for row in self.rows)


def grouped(rows: Iterable[Row], name_of: Callable[[Row], str]) -> list[Group]:
    """The largest first."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[name_of(row)].append(row)
    groups = [Group(name=name, rows=tuple(rows)) for name, rows in found.items()]
    return sorted(groups, key=lambda group: (-group.num, group.name))


def most_common(words: Iterable[str]) -> list[tuple[str, int]]:
    """The texts that came up most, numbers aside, and how often; each as it came first."""
    shown: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for text in filter(None, words):
        key = _NUMBER.sub("0", text)
        shown.setdefault(key, text)
        counts[key] += 1
    return [(shown[key], count) for key, count in counts.most_common(_MOST_TEXTS)]


def failures(rows: Iterable[Row]) -> list[Group]:
    """Those that do not count, by reason."""
    return grouped((row for row in rows if row.reason), lambda row: row.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptColumn:
    """All attempts of one number, over the instances."""

    attempt: int
    num: int
    num_patches: int
    num_dropped: int
    """Of the patches: they do not apply, or break tests of the repository that passed."""
    num_chosen: int
    num_resolved: int
    """Of the chosen ones."""
    num_rescues: int
    """Chosen where no earlier attempt had a patch."""
    num_rescues_resolved: int


def attempt_columns(rows: Sequence[Row]) -> list[AttemptColumn]:
    """What each further attempt was good for."""
    most = max((len(row.result.attempts) for row in rows), default=0)
    return [_attempt_column(rows, number) for number in range(1, most + 1)]


def _attempt_column(rows: Sequence[Row], number: int) -> AttemptColumn:
    attempts = [each for row in rows for each in row.result.attempts if each.attempt == number]
    chosen = [row for row in rows if row.result.chosen == number]
    rescues = [row for row in chosen if number > 1 and not _had_patch(row, number)]
    return AttemptColumn(
        attempt=number,
        num=len(attempts),
        num_patches=sum(each.patch_bytes > 0 for each in attempts),
        num_dropped=sum(_is_dropped(row, number) for row in rows),
        num_chosen=len(chosen),
        num_resolved=sum(row.verdict == "resolved" for row in chosen),
        num_rescues=len(rescues),
        num_rescues_resolved=sum(row.verdict == "resolved" for row in rescues),
    )


def _is_dropped(row: Row, number: int) -> bool:
    attempts = (each for each in row.result.attempts if each.attempt == number)
    return number != row.result.chosen and any(
        each.unusable or each.tests_broken for each in attempts
    )


def _had_patch(row: Row, before: int) -> bool:
    return any(each.patch_bytes > 0 for each in row.result.attempts if each.attempt < before)


def agreement(rows: Iterable[Row]) -> list[Group]:
    """Instances with several patches, by how many of them are the chosen one, to the byte."""
    several = [row for row in rows if len(_patches(row)) > 1 and row.result.chosen is not None]
    return sorted(grouped(several, _in_agreement), key=lambda group: group.name)


def _in_agreement(row: Row) -> str:
    patches = _patches(row)
    num_agreeing = patches.count(row.chosen.patch_sha256) if row.chosen is not None else 0
    return f"{num_agreeing} of {len(patches)}"


def _patches(row: Row) -> list[str]:
    return [each.patch_sha256 for each in row.result.attempts if each.patch_sha256]
