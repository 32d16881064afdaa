"""One attempt at an issue in a copy of the repository: the model's work, report and saved patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rnj_agent.agent.approval import Approve
from rnj_agent.agent.assembly import make_loop
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import RunFinished
from rnj_agent.agent.fix.briefing import Briefing
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.fix.report import FixReport, Tally
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.follow import follow
from rnj_agent.agent.model import Model
from rnj_agent.agent.render import Renderer
from rnj_agent.agent.session import SessionWriter

PATCH_FILE: Final = "fix.patch"


@dataclass(slots=True, kw_only=True)
class Attempt:
    config: Config
    model: Model
    briefing: Briefing
    session_id: str
    approve: Approve
    renderer: Renderer
    report: FixReport | None = field(default=None, init=False)
    """What it came to, also where ``work`` was cancelled; None: it never began, or died."""

    async def work(self, workspace: FixWorkspace) -> None:
        """Let the model work in this copy, whose sandbox is entered, until the run ends.

        Raises:
            SessionError: the session cannot be saved.
            CancelledError: the run was ended in order, and is reported.
        """
        recorder = SessionWriter.create(self.session_id)
        loop = make_loop(
            self.config,
            model=self.model,
            sandbox=workspace.sandbox,
            workspace=workspace,
            recorder=recorder,
            approve=self.approve,
        )
        task = self.briefing.task(self.session_id, workspace.sandbox.workdir)
        tally = Tally(inner=self.renderer)
        try:
            await follow(loop.run(task), tally)
        finally:
            if tally.finished is not None:
                self.report = self._report(tally, tally.finished, workspace, recorder.directory)

    def _report(
        self, tally: Tally, finished: RunFinished, workspace: FixWorkspace, directory: Path
    ) -> FixReport:
        return FixReport(
            issue_title=self.briefing.title,
            model=self.model.info.name,
            files=parse_patch(finished.patch),
            finished=finished,
            before=None if workspace.tests is None else tally.before,
            after=tally.after,
            tests_found=self.briefing.tests_found,
            tests_modified=workspace.tests_modified,
            model_s=tally.model_s,
            commands_s=tally.commands_s,
            session_dir=directory,
            patch_file=_save_patch(directory, finished.patch),
        )


def _save_patch(directory: Path, patch: str) -> Path | None:
    if not patch:
        return None
    file = directory / PATCH_FILE
    file.write_bytes(patch.encode("utf-8", "surrogateescape"))
    return file
