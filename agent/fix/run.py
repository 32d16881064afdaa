"""One fix from start to end: copy, first test run, the model's work, report and saved patch.

Nothing here touches the user's files; that is ``deliver``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnj_agent.agent.approval import Approve
from rnj_agent.agent.assembly import (
    Say,
    agents_file_from,
    make_loop,
    open_model,
    open_sandbox,
    protocol_from,
    tell_of,
)
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Event, Notice, RunFinished
from rnj_agent.agent.fix.first_look import excerpt_chars, first_look, read_clues
from rnj_agent.agent.fix.issue import Issue
from rnj_agent.agent.fix.patch import parse_patch
from rnj_agent.agent.fix.report import FixReport, Tally
from rnj_agent.agent.fix.repository import Snapshot
from rnj_agent.agent.fix.verification import TestCommand, evidence
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.follow import follow
from rnj_agent.agent.model import Model
from rnj_agent.agent.render import Renderer
from rnj_agent.agent.session import SessionWriter, new_session_id
from rnj_agent.agent.task import Task
from rnj_agent.prompts import IssueFacts, render_fix_task, render_system
from rnj_agent.sandbox.base import Sandbox

PATCH_FILE = "fix.patch"
_CHARS_PER_TOKEN = 3
"""A low guess, for text that is about to be shortened."""
_MAX_LISTED_FILES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FixRequest:
    issue: Issue
    snapshot: Snapshot
    tests: TestCommand | None


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
        request = self.request
        workspace = FixWorkspace(sandbox=sandbox, tests=request.tests)
        await workspace.prepare(request.snapshot)
        prelude: list[Event] = []
        if request.tests is not None:
            text = f"running the tests before any change: {request.tests.command}"
            self.say(Notice(level="info", text=text))
            await workspace.test_before(prelude.append)
        recorder = SessionWriter.create(session_id)
        loop = make_loop(
            self.config,
            model=model,
            sandbox=sandbox,
            workspace=workspace,
            recorder=recorder,
            approve=self.approve,
        )
        task = Task(
            session_id=session_id,
            text=request.issue.title,
            system_prompt=self._system_prompt(model),
            user_message=render_fix_task(_facts(request, workspace, model.info.context_window)),
            cwd=str(request.snapshot.root),
            prelude=tuple(prelude),
        )
        tally = Tally(inner=self.renderer)
        finished = await follow(loop.run(task), tally)
        return FixReport(
            issue_title=request.issue.title,
            model=model.info.name,
            files=parse_patch(finished.patch),
            finished=finished,
            before=tally.before,
            after=tally.after,
            tests_modified=workspace.tests_modified,
            model_s=tally.model_s,
            commands_s=tally.commands_s,
            session_dir=recorder.directory,
            patch_file=_save_patch(recorder.directory, finished),
        )

    def _system_prompt(self, model: Model) -> str:
        snapshot = self.request.snapshot
        agents = agents_file_from(
            self.config,
            snapshot.root,
            [file.path for file in snapshot.files],
            context_window=model.info.context_window,
        )
        tell_of(agents, self.say)
        return render_system(
            model=model.info.name,
            protocol=protocol_from(self.config, model),
            needs_patch=True,
            agents_md=agents.text if agents else "",
        )


def _facts(request: FixRequest, workspace: FixWorkspace, context_window: int) -> IssueFacts:
    """What the model is told first, at most about half of its window."""
    max_chars = context_window * _CHARS_PER_TOKEN // 4
    issue = _fit(request.issue.render(), max_chars)
    before = workspace.before
    output = "" if before is None or before.passed else evidence(before)
    files = request.snapshot.files
    command = "" if request.tests is None else request.tests.command
    clues = read_clues(issue, test_output=output, test_command=command)
    return IssueFacts(
        issue=issue,
        workdir=workspace.sandbox.workdir,
        file_list=[file.path for file in files[:_MAX_LISTED_FILES]],
        num_files=len(files),
        excerpts=first_look(
            request.snapshot.root, files, clues, max_chars=excerpt_chars(context_window)
        ),
        test_command=command,
        test_output=output,
    )


def _fit(text: str, max_chars: int) -> str:
    """Beginning and end of a long issue, with a line that says what is left out."""
    if len(text) <= max_chars:
        return text
    head, tail = text[: max_chars * 2 // 3], text[-max_chars // 3 :]
    return f"{head}\n[{len(text) - len(head) - len(tail):,} characters left out here]\n{tail}"


def _save_patch(directory: Path, finished: RunFinished) -> Path | None:
    if not finished.patch:
        return None
    file = directory / PATCH_FILE
    file.write_bytes(finished.patch.encode("utf-8", "surrogateescape"))
    return file
