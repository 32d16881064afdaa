"""One fix from start to end: copy, first test run, the model's work, report and saved patch.

Nothing here touches the user's files; that is ``deliver``. Several attempts: ``attempts``.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.approval import Approve
from rnj_agent.agent.assembly import Say, open_model, open_sandbox
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Notice
from rnj_agent.agent.fix.attempt import Attempt
from rnj_agent.agent.fix.briefing import brief
from rnj_agent.agent.fix.report import FixReport
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.model import Model
from rnj_agent.agent.render import Renderer
from rnj_agent.agent.session import new_session_id
from rnj_agent.sandbox.base import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class FixRun:
    config: Config
    request: FixRequest
    approve: Approve
    renderer: Renderer
    say: Say

    async def run(self) -> FixReport:
        """Open model and sandbox as configured, and fix the issue in a copy.

        Raises:
            RnjError, SandboxError: it could not begin; once it has, every end is in the report.
        """
        session_id = new_session_id()
        for line in self.request.snapshot.notices:
            self.say(Notice(level="warning", text=line))
        chosen = await open_sandbox(self.config, session_id=session_id, say=self.say)
        async with open_model(self.config, say=self.say) as model, chosen as sandbox:
            return await self.run_in(model, sandbox, session_id)

    async def run_in(self, model: Model, sandbox: Sandbox, session_id: str) -> FixReport:
        """Fix the issue with this model in this sandbox, which is entered.

        Raises:
            RnjError, SandboxError: as from ``run``.
        """
        briefing = await brief(
            self.config, self.request, model=model, sandbox=sandbox, say=self.say
        )
        attempt = Attempt(
            config=self.config,
            model=model,
            briefing=briefing,
            session_id=session_id,
            approve=self.approve,
            renderer=self.renderer,
        )
        await attempt.work(briefing.workspace)
        assert attempt.report is not None, "a run ends with RunFinished"
        return attempt.report
