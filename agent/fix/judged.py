"""States that the files were in, and what is known of each: which of two is the better one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from rnj_agent.agent.fix.outcomes import Outcomes, named, newly_failing
from rnj_agent.agent.fix.patch import FilePatch
from rnj_agent.agent.fix.syntax_check import BrokenFile
from rnj_agent.agent.fix.verification import TestRun
from rnj_agent.agent.wording import printable

_MAX_CHANGED_LINES: Final = 4
_MAX_LINE_CHARS: Final = 100
_TELLING: Final = tuple(
    re.compile(pattern)
    for pattern in (r"^E  ", r"Error|Exception|panicked|error:|!=|\b(?:got|want)\b", r"[Aa]ssert")
)
"""In a line of a failure: it holds the values, most surely first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One state of the files."""

    patch: str = ""
    files: tuple[FilePatch, ...] = ()
    """Of the patch."""
    broken: tuple[BrokenFile, ...] = ()
    run: TestRun | None = None
    """The tests on it; None: they were not run."""

    @property
    def is_broken(self) -> bool:
        """Whether it does not parse; tests that pass outrank a grammar."""
        passed = self.run is not None and self.run.passed
        return not passed and any(file.is_sure for file in self.broken)

    @property
    def is_certain(self) -> bool:
        """Whether a language's own parser says that it does not parse."""
        return any(problem.is_certain for file in self.broken for problem in file.problems)

    def problem(self, before: Outcomes) -> str:
        """In few words what is wrong with it, as far as is known; empty: nothing.

        Args:
            before: the tests before any change.
        """
        if self.is_broken:
            return f"syntax errors in {named(file.path for file in self.broken)}"
        if self.run is None or self.run.passed:
            return ""
        if new := newly_failing(before, self.run.outcomes):
            return f"newly failing: {named(new)}"
        failed = self.run.outcomes.failed
        return f"failing: {named(failed)}" if failed else "the tests fail"

    def is_better_than(self, other: Judged) -> bool:
        """Whether what is known of both says so: syntax first, then the tests."""
        if self.is_broken or other.is_broken:
            return not self.is_broken
        if self.run is None or other.run is None:
            return False
        if self.run.passed or other.run.passed:
            return not other.run.passed
        mine, others = self.run.outcomes.num_failed, other.run.outcomes.num_failed
        return mine is not None and others is not None and mine < others

    def told(self) -> str:
        """What was changed and what came of it, in few lines for a model that begins anew."""
        changed = [_cut(line) for line in islice(_changed_lines(self.patch), _MAX_CHANGED_LINES)]
        paths = named(file.path for file in self.files)
        return "\n".join([f"In {paths}:", *changed, *self._came_of_it()])

    def _came_of_it(self) -> Iterator[str]:
        if self.is_broken:
            problem = self.broken[0].problems[0]
            yield _cut(f"It broke the syntax at line {problem.line}: {problem.text}")
        elif self.run is not None and self.run.passed:
            yield "The tests passed."
        elif self.run is not None:
            yield _cut(f"The tests failed: {_most_telling_line(self.run.evidence)}")


def best(states: Sequence[Judged]) -> Judged | None:
    """The best of those that parse, of equals the last; None: there is none."""
    chosen: Judged | None = None
    for state in states:
        if not state.is_broken and (chosen is None or not chosen.is_better_than(state)):
            chosen = state
    return chosen


def _changed_lines(patch: str) -> Iterator[str]:
    """Those removed and added, with their signs."""
    in_hunk = False
    for line in patch.split("\n"):
        if line.startswith(("diff --git ", "@@ ")):
            in_hunk = line.startswith("@@ ")
        elif in_hunk and line.startswith(("-", "+")) and line[1:].strip():
            yield line


def _most_telling_line(evidence: str) -> str:
    first, *lines = evidence.split("\n")
    telling = (line for form in _TELLING for line in lines if form.search(line))
    return " ".join(next(telling, first).removeprefix("E ").split())


def _cut(line: str) -> str:
    line = printable(line)
    return line if len(line) <= _MAX_LINE_CHARS else f"{line[:_MAX_LINE_CHARS]} [...]"
