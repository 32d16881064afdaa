"""A model behind any OpenAI-compatible server: streams, retries and counts.

It does not find or start servers (``model_connection``) and does not interpret what the model
says (``protocols``).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Final

from rnj_agent.agent.config import ModelSettings
from rnj_agent.agent.messages import Message
from rnj_agent.agent.model import (
    Chunk,
    ModelInfo,
    ModelRequest,
    ReasoningChunk,
    RetryChunk,
    TextChunk,
    ToolCallChunk,
    UsageChunk,
)
from rnj_agent.agent.model_failures import (
    FAILURES,
    Destination,
    Failure,
    is_retryable,
    retry_after_s,
    translate,
    words,
)
from rnj_agent.agent.model_request import ChatCompletions
from rnj_agent.agent.token_count import TokenCounter, Tools

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MAX_BACKOFF_S: Final = 30.0


class OpenAIModel:
    """One model at one endpoint. ``aclose`` it when the session ends."""

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        info: ModelInfo,
        settings: ModelSettings,
        destination: Destination,
        counter: TokenCounter,
        backoff_s: float = 1.0,
    ) -> None:
        self._client = client
        self._completions = ChatCompletions(client, info=info, settings=settings)
        self._info = info
        self._num_retries = settings.num_retries
        self._destination = destination
        self._counter = counter
        self._backoff_s = backoff_s

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def aclose(self) -> None:
        await self._client.close()

    async def count_tokens(self, messages: Sequence[Message], tools: Tools) -> int:
        """See ``Model.count_tokens``; ``info.exact_counts`` says how far to trust it."""
        return await self._counter.count(messages, tools)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        """Yield the reply as it comes; see ``Model.stream``."""
        for attempt in itertools.count():
            begun = False
            chunks = self._completions.attempt(request)
            try:
                async for chunk in chunks:
                    begun = begun or isinstance(chunk, TextChunk | ReasoningChunk | ToolCallChunk)
                    self._learn(request, chunk)
                    yield chunk
                return
            except FAILURES as exc:
                # Once tokens have been shown, a second try would contradict them.
                if begun or attempt >= self._num_retries or not self._may_come_back(exc):
                    raise translate(exc, self._destination) from exc
                retry = RetryChunk(reason=words(exc), delay_s=self._delay_s(exc, attempt))
            finally:
                await chunks.aclose()
            yield retry
            await asyncio.sleep(retry.delay_s)

    def _may_come_back(self, error: Failure) -> bool:
        return is_retryable(error) and not self._destination.is_gone()

    def _learn(self, request: ModelRequest, chunk: Chunk) -> None:
        if isinstance(chunk, UsageChunk):
            self._counter.observe(request.messages, request.tools, chunk.num_prompt_tokens)

    def _delay_s(self, error: Failure, attempt: int) -> float:
        asked = retry_after_s(error)
        if asked is not None:
            return asked
        # Half of it random, so that parallel runs do not come back all at once.
        return min(self._backoff_s * 2**attempt, _MAX_BACKOFF_S) * random.uniform(0.5, 1.0)
