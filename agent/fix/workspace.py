"""The copy of a repository in a sandbox: put in, judged on submission, and a patch taken out."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field

from rnj_agent.agent.errors import WorkspaceError
from rnj_agent.agent.events import Notice, VerificationFinished
from rnj_agent.agent.fix import feedback
from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.fix.patch import FilePatch, PatchError, parse_patch
from rnj_agent.agent.fix.repository import Snapshot, write_tar
from rnj_agent.agent.fix.test_files import added_configuration, modified_tests
from rnj_agent.agent.fix.verification import (
    TestCommand,
    could_not_run,
    evidence,
    finds_no_tests,
)
from rnj_agent.agent.workspace import Emit, Evidence, Review, state_of
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.sandbox.errors import SandboxFileError
from rnj_agent.tools.base import ToolResult

_SPOOL_BYTES = 64 * 1024**2
_MAX_NAMED = 5
QUICK_TESTS_S = 60.0
"""Tests that took longer before any change run on submission only."""


@dataclass(slots=True, kw_only=True)
class FixWorkspace:
    """Implements ``Workspace``. The sandbox is entered, and left, by the caller."""

    sandbox: Sandbox
    tests: TestCommand | None = None
    needs_patch: bool = True
    """False: the files may change, and need not; nothing is judged."""
    before: VerificationFinished | None = field(default=None, init=False)
    """The tests before any change."""
    after: VerificationFinished | None = field(default=None, init=False)
    """The last test run of a review."""
    tests_modified: tuple[str, ...] = field(default=(), init=False)
    """Existing tests that the reviewed patch changes; they were verified as they were, too."""
    _baseline: Baseline = field(init=False)
    _known_patch: str = field(default="", init=False)
    """The changes that the model has seen the tests of."""

    def __post_init__(self) -> None:
        self._baseline = Baseline(self.sandbox)

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

    async def test_before(self, emit: Emit) -> None:
        """Run the tests once before the model does anything, and undo what they did to the files.

        Raises:
            WorkspaceError: the test command itself cannot run.
            SandboxError: the sandbox is gone.
        """
        assert self.tests is not None
        self.before = await self.tests.run(self.sandbox, "before", emit)
        if could_not_run(self.before):
            raise WorkspaceError(
                f"The test command cannot run in the sandbox: {self.before.output[-500:]}",
                hint="commands run on the sandbox's own programs; see --image and --test-cmd",
            )
        changed = await self._baseline.settle()
        if changed:
            text = f"the test command changes files of the repository: {_listed(changed)}; put back"
            emit(Notice(level="warning", text=text))
        if self.before.passed:
            text = "the tests pass before any change, so they do not show what is wrong"
            emit(Notice(level="warning", text=text))
        elif finds_no_tests(self.before):
            last = self.before.output.rsplit("\n", 1)[-1]
            emit(Notice(level="warning", text=f"the test command finds no tests: {last}"))

    async def take_before(self, other: FixWorkspace) -> None:
        """Know what ``test_before`` found in another copy of the same files, without a run.

        Raises:
            SandboxError: the sandbox is gone, or full.
        """
        self.tests, self.before = other.tests, other.before
        made = other._baseline.left_out  # tests will make them here, too
        if made:
            await self._baseline.leave_out(made)

    async def review(self, emit: Emit) -> Review:
        try:
            patch = await self._baseline.read_patch()
            files = parse_patch(patch)
        except (SandboxFileError, PatchError) as error:
            return Review(accepted=False, feedback=feedback.unusable(error.message))
        if not files:
            told = feedback.NOTHING_CHANGED
            return Review(accepted=not self.needs_patch, feedback=told)
        if self.tests is None:
            return Review(accepted=True)
        return await self._verify(self.tests, files, emit)

    async def after_call(self, result: ToolResult, emit: Emit) -> Evidence:
        """The tests after each change, where they are quick enough to run every time."""
        if not self.needs_patch:
            return Evidence()
        try:
            patch = await self._baseline.read_patch()
        except SandboxFileError as error:
            return Evidence(text=feedback.unusable(error.message))
        state = state_of(patch)
        if patch == self._known_patch:
            text = feedback.NO_FILE_CHANGED if result.is_silent else ""
            return Evidence(text=text, state=state)
        self._known_patch = patch
        if self.tests is None or self.before is None or self.before.duration_s > QUICK_TESTS_S:
            return Evidence(state=state)
        now = await self.tests.run(self.sandbox, "during", emit)
        if now.passed:
            text = feedback.tests_pass(self.tests.command)
            settles = not self.before.passed and bool(patch)
            return Evidence(text=text, settles=settles, state=state)
        failure = evidence(now)
        text = feedback.tests_fail_now(self.tests.command, failure)
        return Evidence(text=text, state=state, failure=failure)

    async def _verify(self, tests: TestCommand, files: tuple[FilePatch, ...], emit: Emit) -> Review:
        self.tests_modified = modified_tests(files, tests.command)
        self.after = await tests.run(self.sandbox, "after", emit)
        if not self.after.passed:
            text = feedback.tests_fail(tests.command, evidence(self.after))
            return Review(accepted=False, verified=False, feedback=text)
        added = added_configuration(files)
        if not self.tests_modified and not added:
            return Review(accepted=True, verified=True)
        return await self._verify_pristine(tests, added, emit)

    async def _verify_pristine(
        self, tests: TestCommand, added: tuple[str, ...], emit: Emit
    ) -> Review:
        """Once more with the tests as they were: a changed test proves nothing."""
        named = _listed((*self.tests_modified, *added))
        text = f"the patch changes tests ({named}): running them as they were, too"
        emit(Notice(level="warning", text=text))
        place = await self._baseline.make_pristine(self.tests_modified, added)
        self.after = await tests.run(self.sandbox, "after", emit, root=place)
        if self.after.passed:
            return Review(accepted=True, verified=True)
        text = feedback.original_tests_fail(named, evidence(self.after))
        return Review(accepted=False, verified=False, feedback=text)

    async def start_over(self, emit: Emit) -> str:
        await self._baseline.put_back()
        return ""

    async def collect(self) -> str:
        patch = await self._baseline.read_patch()
        parse_patch(patch)
        return patch

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


def _listed(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    return ", ".join(paths[:_MAX_NAMED]) + more
