"""Read what the official harness left of one instance as our verdict.

Its folder, logs/run_evaluation/<run>/<model>/<instance>/, holds report.json only where tests ran to
their end; else its other files say why not (swebench/harness/run_evaluation.py, 5.0.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.results import Evaluation
from rnj_agent.agent.wording import printable

_REPORT: Final = "report.json"
_TEST_OUTPUT: Final = "test_output.txt"
_LOG: Final = "run_instance.log"
_PATCH: Final = "patch.diff"
_NOT_APPLIED: Final = ">>>>> Patch Apply Failed"
_TIMED_OUT: Final = re.compile(r"\n\nTimeout error: \d+ seconds exceeded\.\Z")
_RUNTIME: Final = re.compile(r"Test runtime: ([\d_]+\.?\d*) seconds")
_ERROR: Final = re.compile(r"^.{23} - ERROR - (.*)$", re.MULTILINE)
_TAIL_BYTES: Final = 64 * 1024
_DETAIL_CHARACTERS: Final = 500


class _Tests(BaseModel):
    success: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()


class _TestsStatus(BaseModel):
    fail_to_pass: _Tests = Field(default_factory=_Tests, alias="FAIL_TO_PASS")
    pass_to_pass: _Tests = Field(default_factory=_Tests, alias="PASS_TO_PASS")


class _Report(BaseModel):
    """Of one instance, in report.json under its id."""

    resolved: bool
    infra_failure: bool = False
    infra_failure_reason: str = ""
    tests_status: _TestsStatus | None = None


class _Reports(BaseModel):
    by_id: dict[str, _Report]


@dataclass(frozen=True, slots=True)
class HarnessLog:
    folder: Path

    def verdict(self, case: Case) -> Evaluation | None:
        """None: no report on this very patch, at least not yet."""
        report = self._read_report(case.instance.instance_id)
        if report is None or self._read_patch() != case.patch_bytes:
            return None
        return _from_report(case, report).model_copy(update={"duration_s": self._runtime_s()})

    def explain(self, case: Case, harness_log: Path) -> Evaluation:
        """Why there is none, once the harness has ended.

        Args:
            case: what it was asked.
            harness_log: what it printed itself, for where it did not come to the case.
        """
        if _TIMED_OUT.search(_read_tail(self.folder / _TEST_OUTPUT)):
            found = case.verdict("time_limit", "the tests ran for longer than the harness allows")
            return found.model_copy(update={"duration_s": self._runtime_s()})
        log = _read(self.folder / _LOG)
        if _NOT_APPLIED in log:
            said = log.split(_NOT_APPLIED, 1)[1].strip(":\n ")
            return case.verdict("not_applied", _one_line(said.split("\n\n", 1)[0]))
        error = _ERROR.search(log)
        said = error[1] if error else _last_line(log) or _last_line(_read_tail(harness_log))
        return case.without_verdict(f"the harness has no report: {_one_line(said)}")

    def _read_report(self, instance_id: str) -> _Report | None:
        try:
            text = (self.folder / _REPORT).read_text(encoding="utf-8")
            return _Reports.model_validate_json(f'{{"by_id": {text}}}').by_id.get(instance_id)
        except (FileNotFoundError, ValidationError):
            return None  # not there, or half written

    def _read_patch(self) -> bytes | None:
        try:
            return (self.folder / _PATCH).read_bytes()
        except FileNotFoundError:
            return None

    def _runtime_s(self) -> float:
        found = _RUNTIME.search(_read(self.folder / _LOG))
        return float(found[1].replace("_", "")) if found else 0.0


def _from_report(case: Case, report: _Report) -> Evaluation:
    if report.infra_failure:
        return case.without_verdict(f"the harness blames the environment: {_reason(report)}")
    tests = report.tests_status
    if tests is None:
        return case.verdict("unresolved", f"no test ran: {_reason(report)}")
    wanted, kept = tests.fail_to_pass, tests.pass_to_pass
    num_wanted = len(wanted.success) + len(wanted.failure)
    num_kept = len(kept.success) + len(kept.failure)
    found = case.verdict(
        "resolved" if report.resolved else "unresolved",
        f"{len(wanted.success)} of {num_wanted} tests that failed pass; "
        f"{len(kept.failure)} of {num_kept} that passed fail",
    )
    return found.model_copy(
        update={
            "fail_to_pass_passed": wanted.success,
            "fail_to_pass_failed": wanted.failure,
            "pass_to_pass_failed": kept.failure,
            "num_pass_to_pass": num_kept,
        }
    )


def _reason(report: _Report) -> str:
    return report.infra_failure_reason.replace("_", " ") or "the output holds no result"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _one_line(text: str) -> str:
    return printable("; ".join(text.splitlines()))[:_DETAIL_CHARACTERS]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _read_tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
