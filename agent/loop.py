"""The agent's loop: a task goes in, events come out.

It knows no UI, no repository and no particular model. How one step goes: ``agent.step``.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import rnj_agent
from rnj_agent.agent import events
from rnj_agent.agent.approval import Approve, allow_all
from rnj_agent.agent.calls import CallRunner
from rnj_agent.agent.closing import Closing
from rnj_agent.agent.context import ContextWindow
from rnj_agent.agent.ending import Ending, ending_of
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_stream import EventStream, Recorder
from rnj_agent.agent.events import Event, MessageFinished, RunFinished, RunStarted, StartedOver
from rnj_agent.agent.fresh_start import FreshStarts, Sampling
from rnj_agent.agent.guard import LoopGuard
from rnj_agent.agent.harness import Harness
from rnj_agent.agent.history import History
from rnj_agent.agent.limits import Limits, Spent, exceeded
from rnj_agent.agent.messages import AssistantMessage, Message, SystemMessage, UserMessage
from rnj_agent.agent.model import Model
from rnj_agent.agent.protocols import choose_protocol
from rnj_agent.agent.review import watched
from rnj_agent.agent.step import Stepper
from rnj_agent.agent.task import Task
from rnj_agent.agent.window_shares import result_chars
from rnj_agent.agent.workspace import Emit, NoWorkspace, Workspace
from rnj_agent.sandbox.base import Sandbox
from rnj_agent.tools.base import Tool

T = TypeVar("T")
BetweenSteps = Callable[[Emit], Awaitable[None]]


async def go_on(emit: Emit) -> None:
    """Nothing happens between steps."""


@dataclass(kw_only=True)
class AgentLoop:
    """One run at a time. The sandbox is entered, and left, by the caller."""

    model: Model
    tools: Sequence[Tool]
    sandbox: Sandbox
    workspace: Workspace = field(default_factory=NoWorkspace)
    protocol: events.Protocol = "tools"
    limits: Limits = field(default_factory=Limits)
    harness: Harness = field(default_factory=Harness)
    sampling: Sampling = field(default_factory=Sampling)
    """How the model is configured: what retries and fresh starts differ from."""
    approve: Approve = allow_all
    recorder: Recorder | None = None
    """Where the session is kept; closed after RunFinished. None: nowhere."""
    history: History | None = None
    """What a session said before, which the run goes on with. None: it begins anew."""
    between_steps: BetweenSteps = go_on
    """Awaited before each step. A user message that it emits is in the step's request."""
    _phase: asyncio.Task[Any] | None = field(default=None, init=False)

    async def run(self, task: Task) -> AsyncGenerator[Event, None]:
        """Yield the run's events; the last one, and only that one, is RunFinished.

        A cancelled consumer still gets the remaining events, then its CancelledError. Closing the
        iterator early ends the run; what follows is recorded, though not seen.
        """
        stream = EventStream(self.recorder, self.history)
        driver = asyncio.create_task(self._drive(task, stream))
        cancelled: list[asyncio.CancelledError] = []
        try:
            while (event := await self._next(stream, cancelled)) is not None:
                yield event
                stream.consumed_one()
        finally:
            if not driver.done():
                self.interrupt()
                await asyncio.wait([driver])
        if cancelled:
            raise cancelled[0]

    async def _next(
        self, stream: EventStream, cancelled: list[asyncio.CancelledError]
    ) -> Event | None:
        try:
            return await stream.next()
        except asyncio.CancelledError as error:
            if cancelled:
                raise
            cancelled.append(error)
            self.interrupt()
            return await stream.next()

    def interrupt(self) -> None:
        """End the run soon and in order. A second time: without waiting for the patch either."""
        if self._phase is not None:
            self._phase.cancel()

    async def _drive(self, task: Task, stream: EventStream) -> None:
        """Produce all events of the run, whatever happens."""
        started_s, spent = time.monotonic(), Spent(num_steps_before=task.num_steps_before)
        stream.emit(self._run_started(task))
        for event in task.prelude:
            stream.emit(event)
        if not stream.history.messages:
            stream.emit(MessageFinished(message=SystemMessage(content=task.system_prompt)))
        stream.emit(MessageFinished(message=UserMessage(content=task.user_message)))

        closing = Closing(await self._in_order(self._steps(task, stream, spent)))
        failure = await self._in_order(closing.close(self.workspace, stream.emit))
        words = last_words(stream.history.messages)
        duration_s = time.monotonic() - started_s
        stream.emit(_run_finished(closing, failure, words, spent, duration_s))
        with suppress(SessionError):  # the run's detail tells it
            stream.sync()
        stream.close()

    async def _in_order(self, work: Coroutine[Any, Any, T]) -> T | Ending:
        """The work's result, or as a value what stopped it: nothing escapes from here."""
        phase = self._phase = asyncio.create_task(work)
        try:
            await asyncio.wait([phase])
        except asyncio.CancelledError:  # the event loop is shutting down
            phase.cancel()
            await asyncio.wait([phase])
        if phase.cancelled():
            return Ending("interrupted", "stopped before it was done")
        error = phase.exception()
        return phase.result() if error is None else ending_of(error)

    async def _steps(self, task: Task, stream: EventStream, spent: Spent) -> Ending:
        """Step until something ends the run."""
        wall = asyncio.timeout(self.limits.max_wall_s)
        try:
            async with wall:
                return await self._starts(task, stream, spent)
        except TimeoutError:
            if not wall.expired():
                raise
            return Ending("time_limit", f"reached the limit of {self.limits.max_wall_s:,.0f} s")

    async def _starts(self, task: Task, stream: EventStream, spent: Spent) -> Ending:
        """Begin anew as long as that mends what would end the run."""
        possible = self.workspace.needs_patch
        starts = FreshStarts(self.harness, self.limits, possible=possible)
        stepper = self._stepper(stream, spent, starts)
        while starts.mends(ending := await self._one_start(stepper, starts), spent):
            await self._begin_anew(task, stepper, starts, ending)
            guard = self._guard()
            stepper = stepper.anew(guard, starts.sampling(self.sampling))
        return ending

    async def _one_start(self, stepper: Stepper, starts: FreshStarts) -> Ending:
        """Step until something ends the run, or speaks for beginning anew."""
        stream, spent = stepper.stream, stepper.spent
        ending: Ending | None = None
        while ending is None:
            stream.sync()
            await stream.consumed()
            await self.between_steps(stream.emit)
            ending = (
                exceeded(spent, self.limits)
                or starts.due(stepper.guard.circles, spent)
                or await stepper.step()
            )
        return ending

    async def _begin_anew(
        self, task: Task, stepper: Stepper, starts: FreshStarts, ending: Ending
    ) -> None:
        """Files and history as before the first step, and a note of what came of the last start."""
        spent, emit = stepper.spent, stepper.stream.emit
        tried = await watched(self.workspace.start_over, emit)
        await self.sandbox.execute(f"cd {shlex.quote(self.sandbox.workdir)}")
        note = starts.begin(ending, tried, spent)
        spent.num_format_errors = spent.num_rejections = 0
        told = UserMessage(content=f"{task.user_message}\n\n{note}".rstrip())
        emit(StartedOver(number=starts.number, reason=ending.detail, note=note, message=told))

    def _stepper(self, stream: EventStream, spent: Spent, starts: FreshStarts) -> Stepper:
        protocol = choose_protocol(
            self.protocol, self.tools, self.harness, needs_patch=self.workspace.needs_patch
        )
        guard = self._guard()
        return Stepper(
            model=self.model,
            protocol=protocol,
            limits=self.limits,
            needs_patch=self.workspace.needs_patch,
            stream=stream,
            spent=spent,
            guard=guard,
            sampling=starts.sampling(self.sampling),
            retry_temperature=starts.retry_temperature(self.sampling),
            context=ContextWindow(
                self.model,
                protocol.schemas,
                stream,
                self.limits.max_reply_tokens,
                aging=self.harness.aging,
            ),
            calls=CallRunner(
                tools={tool.name: tool for tool in self.tools if tool.name in protocol.tool_names},
                sandbox=self.sandbox,
                workspace=self.workspace,
                limits=self.limits,
                approve=self.approve,
                stream=stream,
                spent=spent,
                guard=guard,
                max_output_chars=result_chars(self.model.info.context_window),
            ),
        )

    def _guard(self) -> LoopGuard:
        """In the form of another program a run ends where that one would end it."""
        return LoopGuard(nudges=self.harness.nudges, stops=self.harness.form == "own")

    def _run_started(self, task: Task) -> RunStarted:
        info = self.model.info
        return RunStarted(
            session_id=task.session_id,
            task=task.text,
            cwd=task.cwd,
            model=info.name,
            endpoint=info.endpoint,
            context_window=info.context_window,
            protocol=self.protocol,
            sandbox=self.sandbox.info.kind,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            version=rnj_agent.__version__,
        )


def last_words(messages: Sequence[Message]) -> str:
    """What the model said last, without its calls."""
    said = (message.content for message in messages[::-1] if isinstance(message, AssistantMessage))
    return next(said, "")


def _run_finished(
    closing: Closing, failure: Ending | None, words: str, spent: Spent, duration_s: float
) -> RunFinished:
    ending = closing.ending
    detail = ending.detail if failure is None else f"{ending.detail}; at the end: {failure.detail}"
    return RunFinished(
        reason=ending.reason,
        detail=detail,
        answer=ending.answer or words,
        patch=closing.patch,
        verified=closing.verified,
        num_steps=spent.num_steps,
        num_prompt_tokens=spent.num_prompt_tokens,
        num_cached_tokens=spent.num_cached_tokens,
        num_completion_tokens=spent.num_completion_tokens,
        duration_s=duration_s,
    )
