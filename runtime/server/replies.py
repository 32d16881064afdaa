"""The replies to one HTTP request: all its prompts and choices as one stream, numbered through."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from rnj_agent.runtime.completion import CompletionRequest, ReplyDelta
from rnj_agent.runtime.errors import EngineError, RnjRuntimeError
from rnj_agent.runtime.outputs import FinishReason, PrefillProgress, TokenLogprob, Usage
from rnj_agent.runtime.reply_parts import Part
from rnj_agent.runtime.server.interleave import interleave
from rnj_agent.runtime.server.metrics import RequestTimes, ServerMetrics
from rnj_agent.runtime.worker import Generation, Waiting

RepliesOutput: TypeAlias = PrefillProgress | ReplyDelta | Waiting


class EndedEarlyError(RnjRuntimeError):
    """Replies were cancelled before they were whole: the server shuts down, or the client left."""


@dataclass(slots=True, kw_only=True)
class WholeReply:
    """One choice, once it has ended."""

    parts: list[Part] = field(default_factory=list[Part])
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    finish_reason: FinishReason | None = None


class RequestLine(Protocol):
    """The worker, as far as it matters here."""

    def submit(self, request: CompletionRequest) -> Generation: ...


class Replies:
    """Submits the prompts of a request; choice ``i`` of prompt ``p`` has index ``p * n + i``.

    Args:
        requests: one per prompt, each with the same number of choices.

    Raises:
        QueueFullError: too many requests wait; none of these is left in line.
        EngineError: the server shuts down.
    """

    def __init__(
        self, worker: RequestLine, requests: Sequence[CompletionRequest], metrics: ServerMetrics
    ) -> None:
        self._num_choices = requests[0].num_choices
        self._generations: list[Generation] = []
        self._usages: dict[int, Usage] = {}
        """By choice, as far as it has come."""
        self._num_unfinished = self._num_choices * len(requests)
        try:
            for request in requests:
                self._generations.append(worker.submit(request))
        except EngineError:
            self._cancel_generations()
            raise
        self._times = RequestTimes(metrics, num_choices=self._num_unfinished)

    @property
    def is_complete(self) -> bool:
        return self._num_unfinished == 0

    @property
    def num_indexes(self) -> int:
        return self._num_choices * len(self._generations)

    @property
    def usage(self) -> Usage:
        """Of all choices so far; what the choices of a prompt share counts once."""
        num_prompt_tokens = num_cached_tokens = 0
        for number, generation in enumerate(self._generations):
            first = number * self._num_choices
            usages = [
                self._usages[index]
                for index in range(first, first + self._num_choices)
                if index in self._usages
            ]
            num_prompt_tokens += len(generation.request.prompt_ids)
            num_cached_tokens += min((usage.num_cached_tokens for usage in usages), default=0)
        return Usage(
            num_prompt_tokens=num_prompt_tokens,
            num_cached_tokens=num_cached_tokens,
            num_completion_tokens=sum(u.num_completion_tokens for u in self._usages.values()),
        )

    def cancel(self) -> None:
        """End all of them; without effect on those that have ended."""
        self._cancel_generations()
        self._times.end()

    async def outputs(
        self, *, heartbeat_s: float | None = None
    ) -> AsyncGenerator[RepliesOutput, None]:
        """Yield what comes for any choice, and a Waiting whenever nothing came for a while.

        Raises:
            RnjRuntimeError: what ended a generation before its time.
        """
        streams = [each.outputs(heartbeat_s=heartbeat_s) for each in self._generations]
        try:
            async with aclosing(interleave(streams)) as outputs:
                async for number, output in outputs:
                    yield self._numbered(number, output)
        except RnjRuntimeError:
            self._times.end(failed=True)
            raise
        finally:
            self.cancel()

    async def whole(self) -> list[WholeReply]:
        """All choices, each complete.

        Raises:
            EndedEarlyError: they were cancelled.
            RnjRuntimeError: as ``outputs``.
        """
        replies = [WholeReply() for _ in range(self.num_indexes)]
        async with aclosing(self.outputs()) as outputs:
            async for output in outputs:
                if isinstance(output, ReplyDelta):
                    reply = replies[output.index]
                    reply.parts += output.parts
                    reply.logprobs += output.logprobs
                    reply.finish_reason = output.finish_reason or reply.finish_reason
        if not self.is_complete:
            raise EndedEarlyError("The server is shutting down.")
        return replies

    def _numbered(self, number: int, output: RepliesOutput) -> RepliesOutput:
        if not isinstance(output, ReplyDelta):
            return output
        index = number * self._num_choices + output.index
        self._usages[index] = output.usage
        self._num_unfinished -= output.finish_reason is not None
        self._times.observe(index, output.usage, output.finish_reason)
        return output if index == output.index else replace(output, index=index)

    def _cancel_generations(self) -> None:
        for generation in self._generations:
            generation.cancel()
