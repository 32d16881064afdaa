"""The copy of a repository in a sandbox: put in, judged on submission, and a patch taken out."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from typing import Final

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.events import Notice, VerificationFinished
from rnj_agent.agent.fix import feedback
from rnj_agent.agent.fix.abandoned import Abandoned
from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.fix.judge import Judge
from rnj_agent.agent.fix.judged import Judged
from rnj_agent.agent.fix.outcomes import named
from rnj_agent.agent.fix.patch import PatchError, parse_patch
from rnj_agent.agent.fix.repository import Snapshot, write_tar
from rnj_agent.agent.fix.verification import (
    TestCommand,
    TestRun,
    could_not_run,
    finds_no_tests,
    why_useless,
)
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.workspace import Emit, Evidence, Review, state_of
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.tools.base import ToolResult

_SPOOL_BYTES: Final = 64 * 1024**2
GUESSED_TESTS_S: Final = 120.0
"""Tests that nobody gave may take no longer."""


class FixWorkspace:
    """Implements ``Workspace``. The sandbox is entered, and left, by the caller.

    Args:
        sandbox: where the copy lies.
        tests: what verifies a patch; None: nothing does.
        needs_patch: False: the files may change, and need not; nothing but their syntax is judged.
        harness: which evidence the model is given.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        tests: TestCommand | None = None,
        needs_patch: bool = True,
        harness: Harness | None = None,
    ) -> None:
        self.sandbox = sandbox
        self.needs_patch = needs_patch
        self._baseline = Baseline(sandbox)
        self._judge = Judge(
            sandbox=sandbox, baseline=self._baseline, tests=tests, harness=harness or Harness()
        )
        self._abandoned = Abandoned(self._baseline)

    @property
    def tests(self) -> TestCommand | None:
        return self._judge.tests

    @property
    def before(self) -> VerificationFinished | None:
        """The tests before any change."""
        run = self._judge.before
        return run.finished if run else None

    @property
    def evidence_before(self) -> str:
        """What a model needs to see of the tests before any change; empty where they passed."""
        run = self._judge.before
        return run.evidence if run else ""

    @property
    def tests_modified(self) -> tuple[str, ...]:
        """Existing tests that the reviewed patch changes; they were verified as they were, too."""
        return self._judge.tests_modified

    async def prepare(self, snapshot: Snapshot, *, date: str = "") -> None:
        """Copy the files in and remember them as they are; ``date``: see ``Baseline.create``.

        Raises:
            WorkspaceError: the files changed while they were read.
            SandboxError: no git in there, or no space.
        """
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as archive:
            await asyncio.to_thread(write_tar, snapshot, archive)
            archive.seek(0)
            await self.sandbox.put_archive(archive)
        await self._baseline.create(date=date)

    async def test_before(self, emit: Emit, *, guessed: bool = False) -> bool:
        """Run the tests once before the model does anything, and undo what they did to the files.

        Args:
            emit: takes the events.
            guessed: nobody gave the command: where it tells nothing it is dropped, with a notice.

        Returns:
            Whether there are tests still; if not, ``tests`` is None.

        Raises:
            WorkspaceError: the test command itself cannot run, and somebody gave it.
            SandboxError: the sandbox is gone.
        """
        tests = self._judge.tests
        assert tests is not None
        if guessed:
            tests = replace(tests, timeout_s=min(tests.timeout_s, GUESSED_TESTS_S))
        run = await tests.run(self.sandbox, "before", emit)
        if could_not_run(run) and not guessed:
            raise WorkspaceError(
                f"The test command cannot run in the sandbox: {run.finished.output[-500:]}",
                hint="commands run on the sandbox's own programs; see --image and --test-cmd",
            )
        changed = await self._baseline.settle()
        why = why_useless(run) if guessed else ""
        if why:
            emit(Notice(level="info", text=f"no tests are used: `{tests.command}` {why}"))
            self._judge.tests = None
            return False
        self._judge.tests, self._judge.before = tests, run
        _tell_before(run, changed, emit)
        return True

    async def take_before(self, other: FixWorkspace) -> None:
        """Know what ``test_before`` found in another copy of the same files, without a run.

        Raises:
            SandboxError: the sandbox is gone, or full.
        """
        self._judge.tests, self._judge.before = other._judge.tests, other._judge.before
        made = other._baseline.left_out  # tests will make them here, too
        if made:
            await self._baseline.leave_out(made)

    async def review(self, emit: Emit) -> Review:
        if not self.needs_patch:
            return Review(accepted=True)
        try:
            await self._judge.look_at(await self._baseline.read_patch())
        except (SandboxFileError, PatchError) as error:
            told = feedback.unusable(error.message)
            verdict = Review(accepted=False, feedback=told, problem="no patch can be taken out")
        else:
            verdict = await self._judge.verdict(emit)
        return verdict if self._judge.harness.review else replace(verdict, accepted=True)

    async def after_call(self, result: ToolResult, emit: Emit) -> Evidence:
        """Syntax errors at once; then the tests, where they are quick enough to run every time."""
        if not (self.needs_patch or self._judge.harness.syntax_check):
            return Evidence()
        try:
            patch = await self._baseline.read_patch()
            if patch == self._judge.now.patch:
                is_told = self.needs_patch and result.is_silent
                text = feedback.NO_FILE_CHANGED if is_told else ""
                return Evidence(text=text, state=state_of(patch))
            await self._judge.look_at(patch)
        except (SandboxFileError, PatchError) as error:
            return Evidence(text=feedback.unusable(error.message) if self.needs_patch else "")
        if not self.needs_patch:
            return Evidence(text=self._judge.syntax_told, state=state_of(patch))
        return replace(await self._judge.evidence(emit), state=state_of(patch))

    async def start_over(self, emit: Emit) -> str:
        """As in ``Workspace``; the work of a session is its person's, and stays."""
        if not self.needs_patch:
            return ""
        told = ""
        try:
            state = await self._known_of(await self._baseline.read_patch(), emit)
            if state.patch:
                await self._abandoned.keep(state)
                told = state.told()
        except (SandboxFileError, PatchError):
            pass  # what cannot come out as a patch is of no use
        await self._baseline.put_back()
        self._judge.now = Judged()
        return told

    async def _known_of(self, patch: str, emit: Emit) -> Judged:
        """The state with this patch, looked at, and tested where that is quick."""
        judge = self._judge
        if patch != judge.now.patch:
            await judge.look_at(patch)
        if patch and judge.now.run is None and not judge.now.is_broken:
            await judge.run_quick_tests(emit)
        return judge.now

    async def collect(self) -> str:
        """As in ``Workspace``: what stands there, or what was abandoned and is better."""
        judge = self._judge
        try:
            patch = await self._baseline.read_patch()
            parse_patch(patch)
        except (SandboxFileError, PatchError):
            if self._abandoned.better_than(Judged()) is None:
                raise
            patch = ""
        now = judge.now if patch == judge.now.patch else Judged(patch=patch)
        better = self._abandoned.better_than(now)
        if better is None:
            return patch
        await self._abandoned.bring_back(better)
        judge.now = better
        return better.patch

    async def collect_undelivered(self) -> str:
        """As ``collect``, against what was delivered last.

        Raises:
            SandboxError, PatchError: as from ``collect``.
        """
        patch = await self._baseline.read_patch(undelivered=True)
        parse_patch(patch)
        return patch

    async def mark_delivered(self) -> None:
        """What was collected last has been delivered.

        Raises:
            SandboxError: the sandbox is gone, or full.
        """
        await self._baseline.mark_delivered()

    async def adopt(self, *, date: str) -> None:
        """Take the files that are in the sandbox for what the user saw; as ``prepare`` else.

        Raises:
            SandboxError: no git in there, or no space.
        """
        await self._baseline.create(date=date)


def _tell_before(run: TestRun, changed: tuple[str, ...], emit: Emit) -> None:
    if changed:
        text = f"the test command changes files of the repository: {named(changed)}; put back"
        emit(Notice(level="warning", text=text))
    if run.passed:
        text = "the tests pass before any change, so they do not show what is wrong"
        emit(Notice(level="warning", text=text))
    elif finds_no_tests(run):
        last = run.finished.output.rsplit("\n", 1)[-1]
        emit(Notice(level="warning", text=f"the test command finds no tests: {last}"))
