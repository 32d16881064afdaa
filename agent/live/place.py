"""Where a session works: model and sandbox, with the copy as it was left or as it begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from rnj_agent.agent.agents_file import AgentsFile, told_in
from rnj_agent.agent.assembly import (
    Say,
    agents_file_from,
    open_model,
    open_sandbox,
    tell_of,
)
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import FilesChanged, Notice
from rnj_agent.agent.fix.repository import CopiedFile, Snapshot, take_snapshot
from rnj_agent.agent.fix.workspace import FixWorkspace
from rnj_agent.agent.harness import Harness, harness_for
from rnj_agent.agent.live.checkpoints import Checkpoints, saved_states
from rnj_agent.agent.live.journal import Journal
from rnj_agent.agent.live.marks import Marks
from rnj_agent.agent.model import Model
from rnj_agent.agent.workspace import Emit
from rnj_agent.sandbox.base import Sandbox

_COPIED_AT: Final = "2000-01-01T00:00:00Z"
"""Of the one commit that the model sees: the same in every sandbox that a session is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    model: Model
    sandbox: Sandbox
    """Entered."""


OpenParts: TypeAlias = Callable[[Config, str, Say], AbstractAsyncContextManager[Parts]]
"""Given the configuration and the session's id."""


@asynccontextmanager
async def open_parts(config: Config, session_id: str, say: Say) -> AsyncGenerator[Parts]:
    """Model and sandbox as configured, both at once.

    Raises:
        RnjError, SandboxError: one of them cannot be had.
    """
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.TaskGroup() as tasks:
                model = tasks.create_task(stack.enter_async_context(open_model(config, say=say)))
                sandbox = tasks.create_task(_enter_sandbox(stack, config, session_id, say))
        except ExceptionGroup as errors:  # the first to fail has stopped the other
            raise errors.exceptions[0] from None
        yield Parts(model=model.result(), sandbox=sandbox.result())


async def _enter_sandbox(
    stack: AsyncExitStack, config: Config, session_id: str, say: Say
) -> Sandbox:
    chosen = await open_sandbox(config, session_id=session_id, say=say)
    return await stack.enter_async_context(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The copy of the repository, ready."""

    parts: Parts
    workspace: FixWorkspace
    checkpoints: Checkpoints
    cwd: Path
    """The repository on the host."""
    agents: AgentsFile | None
    """What the repository tells agents, as the session was told or will be."""
    begun: FilesChanged | None
    """What it begins with, to be recorded before anything else; None: that is recorded."""
    files: tuple[CopiedFile, ...] = ()
    """Of the repository, as they were just copied; none where a session was brought back."""


async def bring_back(
    parts: Parts,
    marks: Marks,
    cwd: Path,
    directory: Path,
    emit: Emit,
    *,
    harness: Harness,
) -> Place:
    """Fill the sandbox with what a session left, baseline and all.

    Raises:
        SandboxError: the states are not all there, or no space.
    """
    workspace = FixWorkspace(sandbox=parts.sandbox, needs_patch=False, harness=harness)
    checkpoints = Checkpoints(parts.sandbox, directory)
    await checkpoints.create_from_packs()
    await checkpoints.restore(marks.base, emit)
    await _run(parts.sandbox, "rm -rf .git")  # the one that comes with the baseline
    await workspace.adopt(date=_COPIED_AT)
    if marks.delivered:
        await checkpoints.restore(marks.delivered, emit)
        await workspace.collect_undelivered()
        await workspace.mark_delivered()
    await checkpoints.restore(marks.snapshot, emit)
    return Place(
        parts=parts,
        workspace=workspace,
        checkpoints=checkpoints,
        cwd=cwd,
        agents=told_in(marks.system_prompt),
        begun=None,
    )


@asynccontextmanager
async def open_place(
    config: Config, repo: Path, journal: Journal, open_parts: OpenParts
) -> AsyncGenerator[Place]:
    """The sandbox with the files as the session left them, or as they are in the repository.

    Raises:
        RnjError, SandboxError: it cannot be had.
    """
    marks, directory, show = journal.marks, journal.directory, journal.show
    snapshot = None
    if not saved_states(directory) >= {marks.base, marks.delivered, marks.snapshot}:
        snapshot = await asyncio.to_thread(take_snapshot, repo)
        for line in snapshot.notices:
            show(Notice(level="warning", text=line))
    async with open_parts(config, journal.session_id, show) as parts:
        harness = harness_for(config, parts.model.info.name)
        if snapshot is None:
            yield await bring_back(parts, marks, repo, directory, show, harness=harness)
        else:
            place = await begin(
                parts, snapshot, directory, show, harness=harness, patch=marks.patch
            )
            yield replace(place, agents=_agents(config, parts, snapshot, marks, show))


def _agents(
    config: Config, parts: Parts, snapshot: Snapshot, marks: Marks, show: Say
) -> AgentsFile | None:
    """Read for a session that begins; one that goes on was told already."""
    if marks.system_prompt:
        return told_in(marks.system_prompt)
    copied = [file.path for file in snapshot.files]
    window = parts.model.info.context_window
    agents = agents_file_from(config, snapshot.root, copied, context_window=window)
    if agents is not None and agents.num_left_out:
        tell_of(agents, show)
    return agents


async def begin(
    parts: Parts,
    snapshot: Snapshot,
    directory: Path,
    emit: Emit,
    *,
    harness: Harness,
    patch: str = "",
) -> Place:
    """Fill the sandbox from the repository.

    Args:
        parts: as they were opened.
        snapshot: of the repository.
        directory: of the session.
        emit: shows a Notice.
        harness: which evidence the model is given.
        patch: what a session whose files were not kept had changed: made again where it fits.

    Raises:
        RnjError, SandboxError: the files cannot be had, in or out.
    """
    sandbox = parts.sandbox
    workspace = FixWorkspace(sandbox=sandbox, needs_patch=False, harness=harness)
    await workspace.prepare(snapshot, date=_COPIED_AT)
    if patch:
        path = f"{sandbox.state_dir}/resumed.patch"
        await sandbox.write_file(path, patch.encode("utf-8", "surrogateescape"))
        said = await _run(sandbox, f"git apply --whitespace=nowarn {path}")
        if said is not None:
            text = f"the session's changes do not fit the repository as it is now: {said}"
            emit(Notice(level="warning", text=text))
    checkpoints = Checkpoints(sandbox, directory)
    begun = await checkpoints.create()
    return Place(
        parts=parts,
        workspace=workspace,
        checkpoints=checkpoints,
        cwd=snapshot.root,
        agents=None,
        begun=begun,
        files=tuple(snapshot.files),
    )


async def _run(sandbox: Sandbox, command: str) -> str | None:
    """None where it succeeded, else what it said."""
    result = await sandbox.execute(command, cwd=sandbox.workdir)
    return None if result.exit_code == 0 else " ".join(result.output.split())[-300:]
