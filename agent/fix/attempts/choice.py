"""Which of several attempts is taken, and why.

Those first that pass tests which failed before, then those that leave the fewest tests failing,
then what the tests say that the attempts wrote (the idea is CodeT's,
https://arxiv.org/abs/2207.10397), then what most patches agree on, then the shortest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.agent.events import RunFinished
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.patch_votes import normalised, vote
from rnj_agent.agent.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An attempt that made a patch."""

    number: int
    finished: RunFinished
    files: tuple[FilePatch, ...]
    is_proven: bool = False
    """Whether tests pass with its patch that failed before."""
    is_broken: bool = False
    """Whether it is known not to parse."""
    num_failing: int | None = None
    """Tests that fail with its patch; None: not run, or nothing in their output tells."""

    @property
    def form(self) -> str:
        """What its patch does to files that were there, or to any where it only adds some."""
        new = {f" b/{file.path}" for file in self.files if file.old_path is None}
        sections = normalised(self.finished.patch).split("diff --git ")[1:]
        changes = [each for each in sections if not _header(each).endswith(tuple(new))]
        return "".join(changes or sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    number: int
    why: str
    """One line."""


Judge: TypeAlias = Callable[[Sequence[Candidate]], Awaitable[Mapping[int, int]]]
"""How many of the tests that attempts wrote fail before any change and pass with each patch; empty
where there are none."""


async def no_judge(candidates: Sequence[Candidate]) -> Mapping[int, int]:
    """Nobody has the time to run more tests."""
    return {}


async def choose(candidates: Sequence[Candidate], judge: Judge) -> Choice:
    """Choose among at least one."""
    facts: list[str] = []
    left = [each for each in candidates if each.is_proven]
    if left:
        facts.append("it passes the tests")
    else:
        left = _fewest_failing(_parsing(candidates, facts), facts)
        if len({each.form for each in left}) > 1:
            left = _best_judged(left, await judge(left), facts)
        left = _submitted(left, facts)
    left = _agreeing(left, facts)
    if len({each.finished.patch for each in left}) > 1:
        facts.append("the shortest patch")
    best = min(left, key=lambda each: (len(each.finished.patch), each.number))
    if len(candidates) == 1 and not facts:
        facts.append("the only one with a patch")
    return Choice(number=best.number, why="; ".join(facts))


def _parsing(candidates: Sequence[Candidate], facts: list[str]) -> Sequence[Candidate]:
    kept = [each for each in candidates if not each.is_broken]
    if not kept or len(kept) == len(candidates):
        return candidates
    facts.append("it parses")
    return kept


def _fewest_failing(candidates: Sequence[Candidate], facts: list[str]) -> list[Candidate]:
    """Where tests can be counted at all: output that cannot is mostly that of a broken run."""
    known = [each.num_failing for each in candidates if each.num_failing is not None]
    kept = [each for each in candidates if known and each.num_failing == min(known)]
    if not kept or len(kept) == len(candidates):
        return list(candidates)
    facts.append(f"the fewest tests fail: {min(known)}")
    return kept


def _best_judged(
    candidates: list[Candidate], passed: Mapping[int, int], facts: list[str]
) -> list[Candidate]:
    most = max(passed.values(), default=0)
    kept = [each for each in candidates if passed.get(each.number, 0) == most]
    if len(kept) == len(candidates):
        return candidates
    facts.append(f"it passes {counted(most, 'test file')} that the attempts wrote, the most")
    return kept


def _submitted(candidates: list[Candidate], facts: list[str]) -> list[Candidate]:
    kept = [each for each in candidates if each.finished.reason == "submitted"]
    if not kept or len(kept) == len(candidates):
        return candidates
    facts.append("it was submitted")
    return kept


def _agreeing(candidates: list[Candidate], facts: list[str]) -> list[Candidate]:
    result = vote({each.number: each.form for each in candidates})
    if len(candidates) > 1:
        facts.append(str(result))
    return [each for each in candidates if each.number in result.winners]


def _header(section: str) -> str:
    return section.split("\n", 1)[0]
