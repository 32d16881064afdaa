"""Run the user's test command in the sandbox, and say what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rnj_agent.agent.events import TestPhase, VerificationFinished, VerificationStarted
from rnj_agent.agent.fix.condense import condense
from rnj_agent.agent.fix.outcomes import Outcomes, read_outcomes
from rnj_agent.agent.window_shares import MAX_EVIDENCE_CHARS
from rnj_agent.agent.workspace import Emit
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.tools.output import clean, is_long, shorten

_NO_TESTS = re.compile(
    r"no tests ran|^\d+ deselected|file or directory not found|No tests found|Ran 0 tests"
    r"|no test files|no tests to run|No tests were found|\b0 passing\b|^running 0 tests"
    r"|^# tests 0$",
    re.MULTILINE | re.IGNORECASE,
)
_SOME_TESTS = re.compile(
    r"\b[1-9]\d* pass(?:ed|ing)?\b|^# pass [1-9]|^ok\s+\S+\s+[(\d]|^running [1-9]", re.MULTILINE
)
_CANNOT_RUN = frozenset({126, 127})
"""What a shell answers for a command that is not executable or not there."""
_LACKS_SOMETHING = re.compile(
    r"No module named |Cannot find (?:module|package) '[^./]|command not found|[Mm]issing script"
    r"|No rule to make target|unrecognized arguments|could not find `Cargo.toml|go: cannot find"
    r"|no required module provides|failed to (?:get|download|fetch) `|cannot load such file"
    r"|Could not (?:resolve|find) (?:dependencies|host|gem)"
)
"""In the words of runners: a program or a dependency is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCommand:
    __test__ = False  # for pytest: not a test class

    command: str
    """Runs in the repository's root."""
    timeout_s: float = 600.0
    evidence_chars: int = MAX_EVIDENCE_CHARS
    """Of a failed run, in what a model is told."""

    async def run(
        self, sandbox: Sandbox, phase: TestPhase, emit: Emit, *, root: str | None = None
    ) -> TestRun:
        """Run it once, announced and concluded by events.

        Args:
            sandbox: where.
            phase: before, during or after the model's work.
            emit: takes the two events.
            root: of the files to test; None: the sandbox's ``workdir``.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        emit(VerificationStarted(phase=phase, command=self.command))
        root = root or sandbox.workdir
        result = await sandbox.execute(
            self.command.replace(sandbox.workdir, root), cwd=root, timeout_s=self.timeout_s
        )
        whole = clean(result.output).strip("\n")
        stopped = f"\n[stopped after {self.timeout_s:g} s: --test-timeout]" * result.timed_out
        outcomes = read_outcomes(whole)
        finished = VerificationFinished(
            phase=phase,
            passed=result.exit_code == 0,
            exit_code=result.exit_code,
            output=(shorten(whole, "") if is_long(whole) else whole) + stopped,
            duration_s=result.duration_s,
        )
        emit(finished)
        return TestRun(
            finished=finished,
            outcomes=replace(outcomes, is_whole=outcomes.is_whole and not result.timed_out),
            evidence="" if finished.passed else condense(whole, self.evidence_chars) + stopped,
            timed_out=result.timed_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """What came of running the tests once."""

    __test__ = False

    finished: VerificationFinished
    outcomes: Outcomes
    evidence: str
    """What a model needs to see of it; empty where it passed."""
    timed_out: bool

    @property
    def passed(self) -> bool:
        return self.finished.passed


def could_not_run(run: TestRun) -> bool:
    """Whether the command itself is at fault, not the code under test."""
    return run.finished.exit_code in _CANNOT_RUN


def finds_no_tests(run: TestRun) -> bool:
    """Whether it says, in the words of a common test runner, that there was nothing to run."""
    return _NO_TESTS.search(run.finished.output) is not None and not _ran_some(run)


def why_useless(run: TestRun) -> str:
    """Why a command that was guessed tells nothing, behind its name; empty: it does."""
    if run.timed_out:
        return f"takes more than {run.finished.duration_s:.0f} s"
    if finds_no_tests(run):
        return "finds no tests"
    if could_not_run(run):
        return "cannot run in the sandbox"
    lacking = _LACKS_SOMETHING.search(run.evidence)
    if lacking is not None and not _ran_some(run):
        return f"lacks something in the sandbox: {_line_at(run.evidence, lacking.start())}"
    return ""


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start:].split("\n", 1)[0].strip()


def _ran_some(run: TestRun) -> bool:
    return bool(run.outcomes.passed) or _SOME_TESTS.search(run.finished.output) is not None
