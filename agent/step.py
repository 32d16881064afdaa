"""One step: one model call and the call that it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from rnj_agent.agent.calls import CallRunner
from rnj_agent.agent.clock import StepClock
from rnj_agent.agent.context import ContextWindow
from rnj_agent.agent.ending import Ending
from rnj_agent.agent.errors import ContextOverflowError, ModelError
from rnj_agent.agent.event_stream import EventStream
from rnj_agent.agent.events import MessageFinished, Notice, StepFinished, StepStarted
from rnj_agent.agent.fresh_start import Sampling
from rnj_agent.agent.guard import LoopGuard
from rnj_agent.agent.likeness import deed_of_reply
from rnj_agent.agent.limits import Limits, Spent
from rnj_agent.agent.messages import UserMessage
from rnj_agent.agent.model import Model, ModelRequest
from rnj_agent.agent.protocols.base import CallProtocol
from rnj_agent.agent.reply import Reply, ReplyReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepper:
    """Everything that the steps of one start share."""

    model: Model
    protocol: CallProtocol
    limits: Limits
    needs_patch: bool
    stream: EventStream
    spent: Spent
    guard: LoopGuard
    context: ContextWindow
    calls: CallRunner
    sampling: Sampling
    """Of this start."""
    retry_temperature: float
    """Of a request behind a nudge."""

    def anew(self, guard: LoopGuard, sampling: Sampling) -> Self:
        """For a fresh start, which knows nothing of what was done before."""
        return replace(self, guard=guard, calls=replace(self.calls, guard=guard), sampling=sampling)

    async def step(self) -> Ending | None:
        """Ask the model and do what it says; an Ending where the run is over with it."""
        clock = StepClock()
        num_prompt_tokens = await clock.model(self.context.fit())
        if isinstance(num_prompt_tokens, Ending):
            return num_prompt_tokens
        with self._opened(num_prompt_tokens, clock):
            reply = await self._ask(num_prompt_tokens, clock)
            if reply is None or reply.call is None:
                return self._without_call(reply)
            return await self.calls.run(reply.call, reply.repaired, clock)

    @contextmanager
    def _opened(self, num_prompt_tokens: int, clock: StepClock) -> Generator[None]:
        self.spent.num_steps += 1
        step = self.spent.step
        exact = self.model.info.exact_counts
        self.stream.emit(StepStarted(step=step, num_prompt_tokens=num_prompt_tokens, exact=exact))
        try:
            yield
        finally:
            self.stream.emit(
                StepFinished(
                    step=step, model_s=clock.model_s, tools_s=clock.tools_s, own_s=clock.own_s
                )
            )

    async def _ask(self, num_prompt_tokens: int, clock: StepClock) -> Reply | None:
        """The model's reply, in the history; None where the server has no room for the prompt."""
        reader = ReplyReader(self.protocol, self.stream)
        try:
            await self._read(reader, num_prompt_tokens, clock)
        except ContextOverflowError as error:
            self.context.overflowed()
            self.stream.emit(Notice(level="warning", text=error.message))
            return None
        except (asyncio.CancelledError, ModelError):
            said = reader.interrupted()
            self.stream.emit(MessageFinished(message=said, finish_reason="interrupted"))
            raise
        reply = reader.reply(f"call{self.spent.step:05d}")
        self.stream.emit(MessageFinished(message=reply.message, finish_reason=reply.finish_reason))
        return reply

    @property
    def _temperature(self) -> float | None:
        return self.retry_temperature if self.guard.is_retry else self.sampling.temperature

    async def _read(self, reader: ReplyReader, num_prompt_tokens: int, clock: StepClock) -> None:
        request = ModelRequest(
            messages=tuple(self.stream.history.messages),
            tools=self.protocol.schemas,
            max_tokens=self.context.reply_tokens,
            reply_form=self.protocol.reply_form,
            temperature=self._temperature,
            seed=self.sampling.seed,
        )
        try:
            await reader.read(self.model, request, clock)
        finally:
            if (usage := reader.usage(num_prompt_tokens)) is not None:
                self.spent.add(usage)
                self.stream.emit(usage)

    def _without_call(self, reply: Reply | None) -> Ending | None:
        """A reply without a call is the answer, or a mistake that the model is told of."""
        if reply is None:
            return None
        content = reply.message.content
        if not (self.needs_patch or reply.broken) and content.strip():
            was_cut = reply.finish_reason == "length"
            detail = "the answer reached its length limit" if was_cut else "the model answered"
            return Ending("answered", detail, content)
        self.spent.num_format_errors += 1
        told = self._correction(reply)
        verdict = self.guard.observe(deed_of_reply(content, told))
        told = f"{told} {verdict.nudge}".rstrip()
        self.stream.emit(MessageFinished(message=UserMessage(content=told)))
        return Ending("loop", verdict.why) if verdict.stop else None

    def _correction(self, reply: Reply) -> str:
        was_cut = reply.finish_reason == "length"
        return self.protocol.correction(
            empty=not reply.message.content.strip(),
            broken=reply.broken,
            cut_at=self.context.reply_tokens if was_cut else None,
        )
