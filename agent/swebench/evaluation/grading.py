"""From tests' statuses to a verdict, by the rules of the official harness.

swebench/harness/grading.py, 5.0.2. Where that one counts a run without results as unresolved, so
does this; where the environment is plainly to blame, both say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.evaluation.pytest_log import Statuses
from rnj_agent.agent.swebench.evaluation.script_log import ScriptLog
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import Evaluation
from rnj_agent.agent.wording import printable

FAIL_ONLY: Final = "fail_only"
"""``eval_type`` of rows whose test runner names its failures alone."""
_PASSED: Final = frozenset({"PASSED", "XFAIL"})
_FAILED: Final = frozenset({"FAILED", "ERROR"})
_ENVIRONMENT: Final = re.compile(
    r"Cannot allocate memory|No space left on device|OutOfMemoryError|^Killed$", re.MULTILINE
)
_DETAIL_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Grades:
    """The expected tests, sorted by whether they did what is expected."""

    fail_to_pass_passed: tuple[str, ...]
    fail_to_pass_failed: tuple[str, ...]
    pass_to_pass_failed: tuple[str, ...]

    @property
    def is_resolved(self) -> bool:
        return not self.fail_to_pass_failed and not self.pass_to_pass_failed


def grade(instance: Instance, statuses: Statuses) -> Grades:
    if instance.eval_type == FAIL_ONLY:
        solved = kept = _not_failed(statuses)
    else:
        solved, kept = _passed(statuses), _kept(statuses)
    return Grades(
        fail_to_pass_passed=tuple(test for test in instance.fail_to_pass if solved(test)),
        fail_to_pass_failed=tuple(test for test in instance.fail_to_pass if not solved(test)),
        pass_to_pass_failed=tuple(test for test in instance.pass_to_pass if not kept(test)),
    )


def verdict(case: Case, log: ScriptLog, statuses: Statuses) -> Evaluation:
    """Whether the run was one at all, and what it says."""
    if not statuses:
        return _without_results(case, log)
    if log.exit_code and not _FAILED.intersection(statuses.values()):
        # Tests can print lines as pytest does, but not so easily end with its status.
        return case.verdict(
            "unresolved",
            f"the tests ended with status {log.exit_code}, yet their output names no failure",
        )
    grades = grade(case.instance, statuses)
    found = case.verdict("resolved" if grades.is_resolved else "unresolved", _counts(case, grades))
    return found.model_copy(
        update={
            "fail_to_pass_passed": grades.fail_to_pass_passed,
            "fail_to_pass_failed": grades.fail_to_pass_failed,
            "pass_to_pass_failed": grades.pass_to_pass_failed,
            "num_pass_to_pass": len(case.instance.pass_to_pass),
        }
    )


def _without_results(case: Case, log: ScriptLog) -> Evaluation:
    tests = log.tests or ""
    if case.instance.eval_type == FAIL_ONLY:
        return case.without_verdict(
            "no test is named in the output, which can mean that all passed or that none ran: "
            "only --judge official tells them apart"
        )
    if blamed := _ENVIRONMENT.search(tests):
        return case.without_verdict(f"the tests did not run: {blamed[0]}")
    lines = [line for line in tests.splitlines() if line.strip() and not line.startswith("+")]
    last = printable(lines[-1].strip())[:_DETAIL_CHARACTERS] if lines else "nothing was printed"
    status = "" if log.exit_code is None else f" (status {log.exit_code})"
    return case.verdict("unresolved", f"no test ran{status}: {last}")


def _counts(case: Case, grades: Grades) -> str:
    wanted, kept = len(case.instance.fail_to_pass), len(case.instance.pass_to_pass)
    broken = len(grades.pass_to_pass_failed)
    return (
        f"{len(grades.fail_to_pass_passed)} of {wanted} tests that failed pass; "
        f"{broken} of {kept} that passed fail"
    )


def _passed(statuses: Statuses) -> Callable[[str], bool]:
    return lambda test: _status(test, statuses) in _PASSED


def _kept(statuses: Statuses) -> Callable[[str], bool]:
    """A test that is skipped now is no regression."""
    return lambda test: _status(test, statuses) in _PASSED | {"SKIPPED"}


def _not_failed(statuses: Statuses) -> Callable[[str], bool]:
    return lambda test: statuses.get(test) != "FAILED"


def _status(test: str, statuses: Statuses) -> str:
    """Of a name that a data set cut within its parameters: what all it can mean agree on.

    https://github.com/SWE-bench/SWE-bench/issues/290
    """
    if test in statuses or test.count("[") <= test.count("]"):
        return statuses.get(test, "")
    return _agreed([status for name, status in statuses.items() if name.startswith(test)])


def _agreed(statuses: Sequence[str]) -> str:
    verdicts = {status in _PASSED for status in statuses}
    return statuses[0] if len(verdicts) == 1 else ""
