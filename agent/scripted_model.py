"""A deterministic model that plays prepared replies: for tests, benchmarks and demonstrations.

A real ``Model``, not a mock: it streams, can be closed in the middle, counts tokens, and fails when
its script says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rnj_agent.agent.errors import ModelError, ModelRequestError
from rnj_agent.agent.messages import AssistantMessage, Message
from rnj_agent.agent.model import (
    Chunk,
    FinishChunk,
    ModelInfo,
    ModelRequest,
    TextChunk,
    ToolCallChunk,
    UsageChunk,
)

SCRIPTED = ModelInfo(
    name="scripted", endpoint="scripted://", context_window=32_768, exact_counts=True
)
_CHARS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedTurn:
    """One reply, chunk by chunk."""

    chunks: tuple[Chunk, ...] = ()
    finish_reason: str = "stop"
    error: ModelError | None = None
    """Raised behind the chunks, in place of an end."""
    delay_s: float = 0.0
    """Real time before each chunk, so that a reply can be interrupted."""


Turn: TypeAlias = ScriptedTurn | str | Callable[[ModelRequest], "ScriptedTurn | str"]
"""A plain string is streamed a few characters at a time; a callable looks at the request first."""


class ScriptedModel:
    """Plays one turn a request; asked beyond its script it raises ModelRequestError.

    Args:
        turns: the replies, in order.
        info: what it says of itself.
        repeat_last: play the last turn again and again instead of raising.
    """

    def __init__(
        self, turns: Iterable[Turn], *, info: ModelInfo = SCRIPTED, repeat_last: bool = False
    ) -> None:
        self.requests: list[ModelRequest] = []
        self.num_closed_early = 0
        """Replies that the consumer ended before their end."""
        self._turns = list(turns)
        self._info = info
        self._repeat_last = repeat_last

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk]:
        turn = self._next_turn(request)
        finished = False
        num_prompt_tokens = await self.count_tokens(request.messages, request.tools)
        try:
            for number, chunk in enumerate(turn.chunks, 1):
                await asyncio.sleep(turn.delay_s)
                yield chunk
                yield UsageChunk(
                    num_prompt_tokens=num_prompt_tokens,
                    num_cached_tokens=0,
                    num_completion_tokens=number,
                )
            if turn.error is not None:
                finished = True
                raise turn.error
            yield FinishChunk(finish_reason=turn.finish_reason)
            finished = True
        finally:
            self.num_closed_early += not finished

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> int:
        """A stand-in for a tokenizer: four characters a token, four tokens a message."""
        num_chars = sum(len(text) for message in messages for text in _texts(message))
        num_chars += sum(len(str(tool)) for tool in tools)
        return num_chars // _CHARS_PER_TOKEN + _TOKENS_PER_MESSAGE * len(messages)

    def _next_turn(self, request: ModelRequest) -> ScriptedTurn:
        number = len(self.requests)
        self.requests.append(request)
        if self._repeat_last:
            number = min(number, len(self._turns) - 1)
        if number >= len(self._turns):
            raise ModelRequestError(f"the script has {len(self._turns)} turns, no more")
        turn = self._turns[number]
        if callable(turn):
            turn = turn(request)
        return says(turn) if isinstance(turn, str) else turn


def says(text: str, *, finish_reason: str = "stop", delay_s: float = 0.0) -> ScriptedTurn:
    """A reply of text, a token's worth of characters at a time."""
    pieces = [text[at : at + _CHARS_PER_TOKEN] for at in range(0, len(text), _CHARS_PER_TOKEN)]
    chunks = tuple(TextChunk(text=piece) for piece in pieces)
    return ScriptedTurn(chunks=chunks, finish_reason=finish_reason, delay_s=delay_s)


def calls(*chunks: ToolCallChunk, text: str = "") -> ScriptedTurn:
    """A reply with native tool calls."""
    spoken = (TextChunk(text=text),) if text else ()
    return ScriptedTurn(chunks=(*spoken, *chunks), finish_reason="tool_calls")


def _texts(message: Message) -> list[str]:
    texts = [message.content]
    if isinstance(message, AssistantMessage):
        texts += [message.reasoning, *(call.arguments for call in message.tool_calls)]
    return texts
