"""Several attempts at one issue, run together against one model; the best one is reported.

Each has its own sandbox, session, seed and temperature. The tests before any change run once, and
all are told the same first, so that the model's server prefills it once. Once one passes tests that
failed before, the others end. What becomes of the patch is ``deliver``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

from rnj_agent.agent.approval import Approve
from rnj_agent.agent.assembly import Say, open_model, open_sandbox
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Notice
from rnj_agent.agent.fix.attempt import Attempt
from rnj_agent.agent.fix.attempts.conclusion import conclude
from rnj_agent.agent.fix.attempts.display import AttemptRenderer, Display
from rnj_agent.agent.fix.attempts.together import run_together
from rnj_agent.agent.fix.attempts.written_tests import (
    CommandFor,
    OpenSandbox,
    WrittenTestsJudge,
)
from rnj_agent.agent.fix.briefing import Briefing, brief
from rnj_agent.agent.fix.find_tests import command_for, read_manifests
from rnj_agent.agent.fix.report import FixReport
from rnj_agent.agent.fix.repository import Snapshot
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.harness import settled_config
from rnj_agent.agent.model import Model
from rnj_agent.agent.session import new_session_id
from rnj_agent.agent.variation import VariedModel, varied
from rnj_agent.sandbox.base import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class FixAttempts:
    """Args: as for ``FixRun``, whose ``run`` this one's resembles."""

    config: Config
    request: FixRequest
    approve: Approve
    displays: Sequence[Display]
    say: Say

    async def run(self) -> FixReport:
        """Open the model, make the attempts, and report the best one.

        Told to stop, it reports the best one so far as ``interrupted``.

        Raises:
            RnjError, SandboxError: none could begin; an attempt's own end is in the report.
            CancelledError: told to stop before any attempt had anything to report.
        """
        for line in self.request.snapshot.notices:
            self.say(Notice(level="warning", text=line))
        async with open_model(self.config, say=self.say) as model:
            return await self.run_with(model, partial(_open_sandbox, self.config, self.say))

    async def run_with(self, model: Model, open_sandbox: OpenSandbox) -> FixReport:
        """Make the attempts with this model in such sandboxes.

        Raises:
            RnjError, SandboxError, CancelledError: as from ``run``.
        """
        try:
            return await self._run_with(model, open_sandbox)
        finally:
            for display in self.displays:
                display.close()

    async def _run_with(self, model: Model, open_sandbox: OpenSandbox) -> FixReport:
        session_id = new_session_id()
        async with await open_sandbox(session_id) as sandbox:
            briefing = await brief(
                self.config, self.request, model=model, sandbox=sandbox, say=self.say
            )
            attempts = self._attempts(model, briefing, session_id)
            others = [self._elsewhere(each, open_sandbox) for each in attempts[1:]]
            works = [attempts[0].work(briefing.workspace), *others]
            ends = await run_together(works, lambda: any(map(_is_proven, attempts)))
        judge = WrittenTestsJudge(
            snapshot=self.request.snapshot,
            open_sandbox=open_sandbox,
            session_id=session_id,
            command_for=_runners(self.request.snapshot),
        )
        report = await conclude(attempts, ends, judge)
        self._tell_choice(report)
        return report

    def _tell_choice(self, report: FixReport) -> None:
        assert report.attempts is not None
        chosen, text = report.attempts.chosen, str(report.attempts)
        AttemptRenderer(chosen, self.displays)(Notice(level="info", text=text))

    def _attempts(self, model: Model, briefing: Briefing, session_id: str) -> list[Attempt]:
        settled = settled_config(self.config, model.info.name)
        return [
            self._attempt(number, settled, model, briefing, session_id)
            for number in range(1, self.config.fix.attempts + 1)
        ]

    def _attempt(
        self, number: int, settled: Config, model: Model, briefing: Briefing, session_id: str
    ) -> Attempt:
        config = varied(settled, self.request.issue.title, number)
        sampling = config.model
        return Attempt(
            config=config,
            model=VariedModel(model, temperature=sampling.temperature or 0.0, seed=sampling.seed),
            briefing=briefing,
            session_id=session_id if number == 1 else f"{session_id}-{number}",
            approve=self.approve,
            renderer=AttemptRenderer(number, self.displays),
        )

    async def _elsewhere(self, attempt: Attempt, open_sandbox: OpenSandbox) -> None:
        """An attempt in a copy of its own."""
        async with await open_sandbox(attempt.session_id) as sandbox:
            briefing = attempt.briefing
            workspace = FixWorkspace(sandbox=sandbox, harness=briefing.harness)
            await workspace.prepare(self.request.snapshot)
            await workspace.take_before(briefing.workspace)
            await attempt.work(workspace)


def _is_proven(attempt: Attempt) -> bool:
    return attempt.report is not None and attempt.report.is_proven


async def _open_sandbox(config: Config, say: Say, session_id: str) -> Sandbox:
    return await open_sandbox(config, session_id=session_id, say=say)


def _runners(snapshot: Snapshot) -> CommandFor:
    """By the project's manifests, which are read where there is something to run."""
    manifests = cache(lambda: read_manifests(snapshot.root, snapshot.files))
    return lambda written: command_for(written, manifests())
