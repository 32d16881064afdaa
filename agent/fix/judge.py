"""What is known of the files that a model changes: their syntax, and what the tests say of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from rnj_agent.agent.events import Notice
from rnj_agent.agent.fix import feedback
from rnj_agent.agent.fix.baseline import Baseline
from rnj_agent.agent.fix.judged import Judged
from rnj_agent.agent.fix.outcomes import Outcomes, named, progress
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.fix.syntax_check import SyntaxCheck
from rnj_agent.agent.fix.test_files import added_configuration, modified_tests
from rnj_agent.agent.fix.verification import TestCommand, TestRun
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.workspace import Emit, Evidence, Review
from rnj_agent.sandbox.base import Sandbox

QUICK_TESTS_S: Final = 60.0
"""Tests that took longer before any change run on submission only."""


@dataclass(slots=True, kw_only=True)
class Judge:
    sandbox: Sandbox
    baseline: Baseline
    tests: TestCommand | None
    harness: Harness
    before: TestRun | None = None
    """The tests before any change."""
    now: Judged = field(default_factory=Judged)
    """The files as they were looked at last."""
    tests_modified: tuple[str, ...] = ()
    """Existing tests that the reviewed patch changes; they were verified as they were, too."""
    _syntax: SyntaxCheck = field(init=False)

    def __post_init__(self) -> None:
        self._syntax = SyntaxCheck(self.sandbox, self.baseline)

    async def look_at(self, patch: str) -> None:
        """Take note of what the files hold now.

        Raises:
            PatchError: it cannot come out as a patch.
            SandboxError: the sandbox is gone.
        """
        files = parse_patch(patch)
        broken = await self._syntax.broken(files) if self.harness.syntax_check else ()
        self.now = Judged(patch=patch, files=files, broken=broken)

    @property
    def syntax_told(self) -> str:
        """What the model is told of the syntax errors that its change brought; may be empty."""
        return feedback.syntax_errors(self.now.broken)

    async def evidence(self, emit: Emit) -> Evidence:
        """Of a change that was just made and looked at.

        Tests that pass outrank a grammar, and a language's own parser outranks the tests.
        """
        told = self.syntax_told
        if not self.now.patch:
            return Evidence(text=feedback.AS_AT_FIRST)
        if self.now.is_certain or not self.harness.tests_after_change:
            return Evidence(text=told, failure=told)
        run = await self.run_quick_tests(emit)
        if run is None or self.tests is None:
            return Evidence(text=told, failure=told)
        if run.passed:
            settles = self.before is not None and not self.before.passed
            return Evidence(text=feedback.tests_pass(self.tests.command), settles=settles)
        failed = feedback.tests_fail_now(self.tests.command, self._progress(run), run.evidence)
        return Evidence(
            text=f"{told}\n{failed}".lstrip(),
            failure=run.evidence,
            num_failed=run.outcomes.num_failed,
        )

    async def run_quick_tests(self, emit: Emit) -> TestRun | None:
        """On the files as they were looked at; None where there are none, or they take long."""
        before = self.before
        if self.tests is None or before is None or before.finished.duration_s > QUICK_TESTS_S:
            return None
        run = await self.tests.run(self.sandbox, "during", emit)
        self.now = replace(self.now, run=run)
        return run

    async def verdict(self, emit: Emit) -> Review:
        """Whether the change that was looked at may be submitted."""
        if not self.now.files:
            told, problem = feedback.NOTHING_CHANGED, "nothing was changed"
            return Review(accepted=False, feedback=told, problem=problem)
        verdict = Review(accepted=True)
        if self.tests is not None and not self.now.is_certain:
            verdict = await self._verify(self.tests, emit)
        if self.syntax_told and not verdict.verified:
            verdict = Review(
                accepted=False,
                verified=False if self.now.is_broken else verdict.verified,
                feedback=f"{verdict.feedback or feedback.NOT_ACCEPTED}\n{self.syntax_told}",
            )
        return replace(verdict, problem=self.now.problem(self._outcomes_before))

    def _progress(self, run: TestRun) -> str:
        return progress(self._outcomes_before, run.outcomes)

    @property
    def _outcomes_before(self) -> Outcomes:
        return self.before.outcomes if self.before else Outcomes(is_whole=False)

    async def _verify(self, tests: TestCommand, emit: Emit) -> Review:
        files = self.now.files
        self.tests_modified = modified_tests(files, tests.command)
        run = await tests.run(self.sandbox, "after", emit)
        self.now = replace(self.now, run=run)
        if not run.passed:
            text = feedback.tests_fail(tests.command, self._progress(run), run.evidence)
            return Review(accepted=False, verified=False, feedback=text)
        added = added_configuration(files)
        if not self.tests_modified and not added:
            return Review(accepted=True, verified=True)
        return await self._verify_pristine(tests, added, emit)

    async def _verify_pristine(
        self, tests: TestCommand, added: tuple[str, ...], emit: Emit
    ) -> Review:
        """Once more with the tests as they were: a changed test proves nothing."""
        changed = named((*self.tests_modified, *added))
        text = f"the patch changes tests ({changed}): running them as they were, too"
        emit(Notice(level="warning", text=text))
        place = await self.baseline.make_pristine(self.tests_modified, added)
        run = await tests.run(self.sandbox, "after", emit, root=place)
        self.now = replace(self.now, run=run)
        if run.passed:
            return Review(accepted=True, verified=True)
        text = feedback.original_tests_fail(changed, run.evidence)
        return Review(accepted=False, verified=False, feedback=text)
