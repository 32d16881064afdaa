"""What an attempt at an issue begins with: the tests before any change, and every word it is told.

Made once in one copy of the repository; attempts in other copies are told the same, byte for byte,
so that a server's cache of the prompt serves them all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rnj_agent.agent.assembly import Say, agents_file_from, tell_of
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Event, Notice
from rnj_agent.agent.fix.find_tests import find_tests
from rnj_agent.agent.fix.issue_facts import issue_facts
from rnj_agent.agent.fix.request import FixRequest
from rnj_agent.agent.fix.verification import TestCommand
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.harness import Harness, harness_for
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.model import Model
from rnj_agent.agent.task import Task
from rnj_agent.agent.window_shares import evidence_chars
from rnj_agent.prompts import IssueFacts, render_fix_task
from rnj_agent.sandbox.base import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    workspace: FixWorkspace
    """The copy in which it was made, as it was before any change."""
    title: str
    system_prompt: str
    facts: IssueFacts
    harness: Harness
    cwd: str
    prelude: tuple[Event, ...]
    tests_found: str
    """The test command, where none was given and this one was found; else empty."""

    def task(self, session_id: str, workdir: str) -> Task:
        """For an attempt in a sandbox with this ``workdir``."""
        return Task(
            session_id=session_id,
            text=self.title,
            system_prompt=self.system_prompt,
            user_message=render_fix_task(
                dataclasses.replace(self.facts, workdir=workdir), form=self.harness.form
            ),
            cwd=self.cwd,
            prelude=self.prelude,
        )


async def brief(
    config: Config, request: FixRequest, *, model: Model, sandbox: Sandbox, say: Say
) -> Briefing:
    """Copy the repository into an entered sandbox, run the tests once, and write the messages.

    Raises:
        RnjError: the repository or the test command given cannot be used.
        SandboxError: the sandbox is gone, or full.
    """
    harness = harness_for(config, model.info.name)
    tests = request.tests or _found_tests(request, harness)
    if tests is not None:
        most = evidence_chars(model.info.context_window)
        tests = dataclasses.replace(tests, evidence_chars=most)
    workspace = FixWorkspace(sandbox=sandbox, tests=tests, harness=harness)
    await workspace.prepare(request.snapshot)
    prelude: list[Event] = []
    if tests is not None:
        which = "the tests" if request.tests else "tests that were found"
        say(Notice(level="info", text=f"running {which} before any change: {tests.command}"))
        await workspace.test_before(prelude.append, guessed=request.tests is None)
    found = None if request.tests else workspace.tests
    return Briefing(
        workspace=workspace,
        title=request.issue.title,
        system_prompt=_system_prompt(config, request, model, say),
        facts=issue_facts(
            request,
            workdir=sandbox.workdir,
            test_command="" if workspace.tests is None else workspace.tests.command,
            test_output=workspace.evidence_before,
            context_window=model.info.context_window,
            harness=harness,
        ),
        harness=harness,
        cwd=str(request.snapshot.root),
        prelude=tuple(prelude),
        tests_found=found.command if found else "",
    )


def _found_tests(request: FixRequest, harness: Harness) -> TestCommand | None:
    if not harness.find_tests:
        return None
    snapshot = request.snapshot
    command = find_tests(snapshot.root, snapshot.files, request.issue.render())
    return TestCommand(command=command, timeout_s=request.test_timeout_s) if command else None


def _system_prompt(config: Config, request: FixRequest, model: Model, say: Say) -> str:
    snapshot = request.snapshot
    agents = agents_file_from(
        config,
        snapshot.root,
        [file.path for file in snapshot.files],
        context_window=model.info.context_window,
    )
    tell_of(agents, say)
    return system_prompt(
        config,
        model.info.name,
        needs_patch=True,
        agents_md=agents.text if agents else "",
    )
