"""Read one reply of the model, and end the generation where its first call ends."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, assert_never

from rnj_agent.agent.clock import StepClock
from rnj_agent.agent.event_stream import EventStream
from rnj_agent.agent.events import Notice, ReasoningDelta, TextDelta, UsageUpdated
from rnj_agent.agent.interrupted_reply import interrupted_reply
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.model import (
    Chunk,
    FinishChunk,
    Model,
    ModelRequest,
    ReasoningChunk,
    RestartChunk,
    RetryChunk,
    TextChunk,
    ToolCallChunk,
    UsageChunk,
)
from rnj_agent.agent.parser.decode import whole_text
from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.parser.native import read_native
from rnj_agent.agent.protocols.base import CallProtocol

_MAX_BROKEN_CHARS: Final = 2000
_MAX_NAME_CHARS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    message: AssistantMessage
    call: ToolCall | None
    repaired: tuple[str, ...]
    broken: str
    """Why the call that was begun cannot be run; empty where none was begun, or it can."""
    finish_reason: str


class ReplyReader:
    """Collects the chunks of one reply, shows them, and says when it has heard enough."""

    def __init__(self, protocol: CallProtocol, stream: EventStream) -> None:
        self._protocol = protocol
        self._stream = stream
        self._begin()

    def _begin(self) -> None:
        self._scanner = self._protocol.scanner()
        self._found: FoundCall | BrokenCall | None = None
        self._native: ToolCall | None = None
        self._reasoning: list[str] = []
        self._finish_reason = ""
        self._usage: UsageChunk | None = None
        self._num_pieces = 0
        self._started_s = time.monotonic()
        self._first_s: float | None = None

    async def read(self, model: Model, request: ModelRequest, clock: StepClock) -> None:
        """Stream the reply until its first call is complete, or to its end."""
        chunks = model.stream(request)
        iterator = aiter(chunks)
        try:
            while (chunk := await clock.model(anext(iterator, None))) is not None:
                self._take(chunk)
                if self._found is not None:
                    self._finish_reason = self._finish_reason or "cut"
                    break
        finally:
            if isinstance(chunks, AsyncGenerator):
                await clock.model(chunks.aclose())

    def _take(self, chunk: Chunk) -> None:
        match chunk:
            case TextChunk():
                self._mark_progress()
                self._take_text(whole_text(chunk.text))
            case ReasoningChunk():
                self._mark_progress()
                self._reasoning.append(whole_text(chunk.text))
                self._stream.emit(ReasoningDelta(text=self._reasoning[-1]))
            case ToolCallChunk():
                self._mark_progress()
                self._native = chunk.call
                self._found = read_native(
                    chunk.call, self._protocol.tool_names, start=len(self._scanner.text)
                )
                self._finish_reason = "tool_calls"
            case UsageChunk():
                self._usage = chunk
            case RetryChunk():
                text = f"{chunk.reason}; trying again in {chunk.delay_s:.0f} s"
                self._stream.emit(Notice(level="warning", text=text))
            case RestartChunk():
                self._stream.emit(Notice(level="warning", text=chunk.reason))
                self._begin()
            case FinishChunk():
                self._finish_reason = chunk.finish_reason
            case _:
                assert_never(chunk)

    def _mark_progress(self) -> None:
        self._num_pieces += 1
        if self._first_s is None:
            self._first_s = time.monotonic()

    def _take_text(self, piece: str) -> None:
        num_before = len(self._scanner.text)
        self._found = self._scanner.feed(piece)
        if self._found is not None:
            piece = piece[: max(0, self._found.end - num_before)]
        if piece:
            self._stream.emit(TextDelta(text=piece))

    def reply(self, call_id: str) -> Reply:
        """What was said, ready for the history."""
        was_cut = self._finish_reason == "length"
        found = self._judged(self._found or self._scanner.finish(cut=was_cut))
        text, reasoning = self._scanner.text, "".join(self._reasoning)
        if isinstance(found, FoundCall):
            call = ToolCall(id=call_id, name=found.name, arguments=found.arguments)
            return Reply(
                message=self._protocol.message(text, found, call, reasoning),
                call=call,
                repaired=found.repaired,
                broken="",
                finish_reason=self._finish_reason,
            )
        if found is not None:
            text = "\n".join(filter(None, (text[: found.end], _as_text(self._native))))
        return Reply(
            message=AssistantMessage(content=text, reasoning=reasoning),
            call=None,
            repaired=(),
            broken=found.why if found else "",
            finish_reason=self._finish_reason,
        )

    def _judged(self, found: FoundCall | BrokenCall | None) -> FoundCall | BrokenCall | None:
        """What is not to be repaired is broken."""
        if isinstance(found, FoundCall) and found.repaired and not self._protocol.repairs:
            return BrokenCall(end=found.end, why=f"it has the wrong form ({found.repaired[0]})")
        return found

    def interrupted(self) -> AssistantMessage:
        """What was said until now, where no more will be read."""
        return interrupted_reply(self._scanner.text, "".join(self._reasoning))

    def usage(self, num_prompt_tokens: int) -> UsageUpdated | None:
        """Counts and times of this reply; pieces stand for tokens where the server told none.

        None where nothing came of the request.
        """
        if self._usage is None and self._num_pieces == 0:
            return None
        now = time.monotonic()
        first_s = self._first_s or now
        known = self._usage
        num_completion = known.num_completion_tokens if known else self._num_pieces
        decode_s = now - first_s
        return UsageUpdated(
            num_prompt_tokens=known.num_prompt_tokens if known else num_prompt_tokens,
            num_cached_tokens=known.num_cached_tokens if known else 0,
            num_completion_tokens=num_completion,
            prefill_s=first_s - self._started_s,
            decode_s=decode_s,
            tokens_per_s=max(0, num_completion - 1) / decode_s if decode_s > 0 else 0.0,
            exact=known is not None,
        )


def _as_text(call: ToolCall | None) -> str:
    """A native call that cannot be run, for the history: servers refuse it there as a call."""
    if call is None:
        return ""
    arguments = whole_text(call.arguments)[:_MAX_BROKEN_CHARS]
    written = f'{{"name": "{whole_text(call.name)[:_MAX_NAME_CHARS]}", "arguments": {arguments}'
    return f"<tool_call>\n{written}\n</tool_call>"
