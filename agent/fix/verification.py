"""Run the user's test command in the sandbox, and say what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rnj_agent.agent.events import TestPhase, VerificationFinished, VerificationStarted
from rnj_agent.agent.fix.condense import condense
from rnj_agent.agent.workspace import Emit
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.tools.output import clean, is_long, shorten

MAX_EVIDENCE_CHARS = 2_000
"""Of the output that a model is shown: enough for one failure."""
_NO_TESTS = re.compile(
    r"no tests ran|^\d+ deselected|file or directory not found|No tests found|Ran 0 tests",
    re.MULTILINE,
)
_CANNOT_RUN = frozenset({126, 127})
"""What a shell answers for a command that is not executable or not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCommand:
    __test__ = False  # for pytest: not a test class

    command: str
    """Runs in the repository's root."""
    timeout_s: float = 600.0

    async def run(
        self, sandbox: Sandbox, phase: TestPhase, emit: Emit, *, root: str | None = None
    ) -> VerificationFinished:
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
        output = clean(result.output)
        output = shorten(output, "") if is_long(output) else output.rstrip("\n")
        if result.timed_out:
            output += f"\n[stopped after {self.timeout_s:g} s: --test-timeout]"
        finished = VerificationFinished(
            phase=phase,
            passed=result.exit_code == 0,
            exit_code=result.exit_code,
            output=output.lstrip("\n"),
            duration_s=result.duration_s,
        )
        emit(finished)
        return finished


def could_not_run(run: VerificationFinished) -> bool:
    """Whether the command itself is at fault, not the code under test."""
    return run.exit_code in _CANNOT_RUN


def finds_no_tests(run: VerificationFinished) -> bool:
    """Whether it says, in the words of a common test runner, that there was nothing to run."""
    return not run.passed and _NO_TESTS.search(run.output) is not None


def evidence(run: VerificationFinished) -> str:
    """What a model needs to see of a failed run."""
    return condense(run.output, MAX_EVIDENCE_CHARS)
