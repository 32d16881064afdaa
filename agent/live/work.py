"""What happens in a session that is open: turns, the person's commands, going back."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from rnj_agent.agent.assembly import limits_from, offered_tools, sampling_from
from rnj_agent.agent.calls import OutputTap
from rnj_agent.agent.config import Config
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    Event,
    MessageFinished,
    Protocol,
    Redone,
    Rewound,
    RunFinished,
    ToolCallFinished,
)
from rnj_agent.agent.feedback import INTERRUPTED
from rnj_agent.agent.fix.clues import read_clues
from rnj_agent.agent.fix.first_look import excerpt_chars, first_look
from rnj_agent.agent.fix.survey import survey
from rnj_agent.agent.harness import harness_for, protocol_for
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.live.inbox import Inbox, Item, Ordered, Said
from rnj_agent.agent.live.journal import Journal
from rnj_agent.agent.live.mending import command_told
from rnj_agent.agent.live.place import Place
from rnj_agent.agent.live.pruning import prune_files
from rnj_agent.agent.loop import AgentLoop
from rnj_agent.agent.messages import AssistantMessage, SystemMessage, UserMessage
from rnj_agent.agent.modes import Policy
from rnj_agent.agent.task import Task
from rnj_agent.agent.window_shares import result_chars
from rnj_agent.agent.workspace import Emit
from rnj_agent.prompts import render_plan_note, render_run_task
from rnj_agent.tools.base import ToolContext, ToolResult
from rnj_agent.tools.bash import BashTool

_UNBOUNDED_S: Final = 30 * 24 * 3600.0
"""A person watches the clock, and may take their time to answer a question."""
_COMMAND_TIMEOUT_S: Final = 600.0


class Work:
    """One thing at a time: whoever calls holds the session's turn."""

    def __init__(
        self, config: Config, place: Place, journal: Journal, policy: Policy, inbox: Inbox
    ) -> None:
        self._config = config
        self._place = place
        self._journal = journal
        self._policy = policy
        self._inbox = inbox
        self._model = place.parts.model
        self._sandbox = place.parts.sandbox
        self._tools = offered_tools(config, self._model.info.name, submit=False)
        self._loop: AgentLoop | None = None
        self._command: asyncio.Task[None] | None = None
        self._is_interrupted = False
        self._may_have_changed = False
        self._begun = place.begun

    async def do(self, item: Item) -> RunFinished | None:
        """Do it; for a message, how its run ended.

        Raises:
            SandboxError: the sandbox is gone.
        """
        await self._begin()
        if isinstance(item, Said):
            finished = await self._turn(item.text)
        else:
            finished = None
            await self._ordered(item.command)
        if finished is None or finished.reason != "sandbox_error":
            await self._keep_files(self._journal.emit)
        return finished

    def rearm(self) -> None:
        """What is interrupted from now on is what ``do`` is called for next."""
        self._is_interrupted = False

    def interrupt(self) -> None:
        """End what is being done; once is enough."""
        if self._is_interrupted:
            return
        self._is_interrupted = True
        if self._loop is not None:
            self._loop.interrupt()
        if self._command is not None:
            self._command.cancel()

    async def patch(self) -> str:
        """See ``LiveSession.patch``."""
        return await self._place.workspace.collect()

    async def undo(self, step: int) -> str:
        """See ``LiveSession.undo``."""
        mark = self._journal.marks.before(step)
        await self._place.checkpoints.restore(mark.snapshot, self._journal.emit)
        patch = await self._place.workspace.collect()
        self._journal.emit(
            Rewound(step=step, num_messages=mark.num_messages, snapshot=mark.snapshot, patch=patch)
        )
        return "\n\n".join(mark.said)

    async def redo(self) -> None:
        """See ``LiveSession.redo``."""
        snapshot = self._journal.marks.before_undo
        if not snapshot:
            raise SessionError("there is no undo to take back")
        await self._place.checkpoints.restore(snapshot, self._journal.emit)
        patch = await self._place.workspace.collect()
        self._journal.emit(Redone(snapshot=snapshot, patch=patch))

    async def _begin(self) -> None:
        """Record what the session begins with, before the first thing that happens in it."""
        begun, self._begun = self._begun, None
        if begun is not None:
            self._journal.emit(begun)
            await self._place.checkpoints.save_state(begun.snapshot, self._journal.emit)
            await asyncio.to_thread(prune_files)  # each session that begins makes room for itself

    async def _turn(self, text: str) -> RunFinished:
        loop = self._loop = self._make_loop()
        finished: RunFinished | None = None
        try:
            async with aclosing(loop.run(await self._task(text))) as run:
                async for event in run:
                    self._take(event)
                    finished = event if isinstance(event, RunFinished) else finished
        finally:
            self._loop = None
        assert finished is not None, "a run ends with RunFinished"
        return finished

    def _take(self, event: Event) -> None:
        self._may_have_changed |= isinstance(event, ToolCallFinished)
        self._journal.hand_on(event)

    def _make_loop(self) -> AgentLoop:
        limits = limits_from(self._config, self._model)
        return AgentLoop(
            model=self._model,
            tools=self._tools,
            sandbox=self._sandbox,
            workspace=self._place.workspace,
            protocol=self._protocol,
            limits=replace(limits, max_wall_s=_UNBOUNDED_S),
            harness=harness_for(self._config, self._model.info.name),
            sampling=sampling_from(self._config, self._model),
            approve=self._policy,
            recorder=self._journal,
            history=self._journal.history,
            between_steps=self._between_steps,
        )

    async def _task(self, text: str) -> Task:
        messages = self._journal.history.messages
        is_first = not any(isinstance(message, AssistantMessage) for message in messages)
        told = await asyncio.to_thread(self._first_told, text) if is_first else text
        if self._policy.mode == "plan":  # not in the system prompt: that one never changes
            told = f"{told}\n\n{render_plan_note()}"
        return Task(
            session_id=self._journal.session_id,
            text=text,
            system_prompt=self._system_prompt(),
            user_message=told,
            cwd=str(self._place.cwd),
            num_steps_before=self._journal.marks.num_steps,
        )

    def _first_told(self, text: str) -> str:
        """With the source that the text points at: small models spend their steps on finding it."""
        clues = read_clues(text)
        most = excerpt_chars(self._model.info.context_window)
        files = self._place.files if clues.paths or clues.names else ()
        excerpts = first_look(survey(self._place.cwd, files, clues), max_chars=most)
        return render_run_task(text, workdir=self._sandbox.workdir, excerpts=excerpts)

    @property
    def _protocol(self) -> Protocol:
        """The one that the session's system prompt names, whichever model goes on with it."""
        started = self._journal.marks.started
        return started.protocol if started else protocol_for(self._config, self._model.info.name)

    def _system_prompt(self) -> str:
        """The same for all of the session, also where all of it was undone."""
        agents = self._place.agents
        return self._journal.marks.system_prompt or system_prompt(
            self._config,
            self._model.info.name,
            protocol=self._protocol,
            needs_patch=False,
            agents_md=agents.text if agents else "",
        )

    async def _between_steps(self, emit: Emit) -> None:
        if self._is_interrupted:  # before there was anything to interrupt
            raise asyncio.CancelledError
        await self._keep_files(emit)
        while (item := self._inbox.take()) is not None:
            match item:
                case Said(text=text):
                    emit(MessageFinished(message=UserMessage(content=text)))
                case Ordered(command=command):
                    await self._run_command(command, emit)
                    await self._keep_files(emit)

    async def _keep_files(self, emit: Emit) -> None:
        if self._may_have_changed:
            await self._place.checkpoints.keep(emit)
            self._may_have_changed = False

    async def _ordered(self, command: str) -> None:
        """A command outside of a turn."""
        if self._is_interrupted:
            return
        if not self._journal.history.messages:  # the system prompt comes before all else
            system = SystemMessage(content=self._system_prompt())
            self._journal.emit(MessageFinished(message=system))
        work = self._command = asyncio.create_task(self._run_command(command, self._journal.emit))
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        finally:
            self._command = None
        if not work.cancelled():
            work.result()

    async def _run_command(self, command: str, emit: Emit) -> None:
        """Run it as the model would, and tell the model."""
        command_id = f"command{self._journal.marks.num_commands + 1:05d}"
        emit(CommandStarted(command_id=command_id, command=command))
        started_s = time.monotonic()
        context = ToolContext(
            sandbox=self._sandbox,
            on_output=OutputTap(command_id, emit).show,
            timeout_s=_COMMAND_TIMEOUT_S,
            max_output_chars=result_chars(self._model.info.context_window),
        )
        result = ToolResult(content=INTERRUPTED, is_error=True)
        self._may_have_changed = True
        try:
            result = await self._bash.run(json.dumps({"command": command}), context)
        finally:
            emit(
                CommandFinished(
                    command_id=command_id,
                    content=command_told(command, result.content),
                    exit_code=result.exit_code,
                    duration_s=time.monotonic() - started_s,
                )
            )

    @property
    def _bash(self) -> BashTool:
        """The model's own, which knows which folder the model was told of."""
        return next(tool for tool in self._tools if isinstance(tool, BashTool))
