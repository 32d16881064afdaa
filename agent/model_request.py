"""One chat completion request: its body, the parts that a server may refuse, its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import openai

from rnj_agent.agent.config import ModelSettings
from rnj_agent.agent.messages import AssistantMessage, Message, to_wire
from rnj_agent.agent.model import Chunk, ModelInfo, ModelRequest
from rnj_agent.agent.model_failures import is_overflow, words
from rnj_agent.agent.model_stream import ReplyAssembler

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

_OPTIONAL: Final = (
    "continuous_usage_stats",
    "stream_options",
    "parallel_tool_calls",
    "reasoning_content",
)
"""Parts of a request that not every server takes, and that we can do without."""

_END: Final = object()


class ChatCompletions:
    """Sends requests for one model to one server, and learns what that server refuses."""

    def __init__(self, client: AsyncOpenAI, *, info: ModelInfo, settings: ModelSettings) -> None:
        self._client = client
        self._info = info
        self._settings = settings
        self._refused: frozenset[str] = frozenset()

    async def attempt(self, request: ModelRequest) -> AsyncGenerator[Chunk]:
        """Send once and yield the reply.

        Raises:
            openai.APIError, BrokenReplyError, TimeoutError, ValueError: see ``model_failures``.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        assembler = ReplyAssembler()
        async with asyncio.timeout_at(deadline):
            stream = await self._open(request)
        # Closing the stream closes the connection, which is how the server learns to stop.
        async with aclosing(stream), aclosing(_until(deadline, stream)) as events:
            async for event in events:
                for chunk in assembler.feed(event):
                    yield chunk
        for chunk in assembler.finish():
            yield chunk

    async def _open(self, request: ModelRequest) -> AsyncStream[object]:
        """Send the request; optional parts that the server refuses are left out from then on."""
        try:
            return await self._post(self._body(request, self._refused))
        except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
            refused = self._refused | _blamed(exc)
            if refused == self._refused or is_overflow(exc):
                raise
            stream = await self._post(self._body(request, refused))
            self._refused = refused
            return stream

    async def _post(self, body: dict[str, Any]) -> AsyncStream[object]:
        return await self._client.post(
            "/chat/completions",
            body=body,
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    def _body(self, request: ModelRequest, refused: frozenset[str]) -> dict[str, Any]:
        settings, temperature = self._settings, request.temperature
        body: dict[str, Any] = {
            "model": self._info.name,
            "messages": [_wire(message, refused) for message in request.messages],
            "stream": True,
            "max_tokens": request.max_tokens,
            "temperature": settings.temperature if temperature is None else temperature,
            "top_p": settings.top_p,
            "seed": settings.seed if request.seed is None else request.seed,
            "stop": list(request.stop) or None,
            "tools": list(request.tools) or None,
            "reply_form": request.reply_form if self._info.takes_reply_form else None,
        }
        if request.tools and "parallel_tool_calls" not in refused:
            body["parallel_tool_calls"] = False
        if "stream_options" not in refused:
            body["stream_options"] = {"include_usage": True}
            if "continuous_usage_stats" not in refused:
                body["stream_options"]["continuous_usage_stats"] = True
        return {name: value for name, value in body.items() if value is not None}


def _blamed(error: openai.APIStatusError) -> frozenset[str]:
    """The optional parts that the server names, or all of them if it names none."""
    text = f"{words(error)} {error.param}"
    return frozenset(name for name in _OPTIONAL if name in text) or frozenset(_OPTIONAL)


def _wire(message: Message, refused: frozenset[str]) -> dict[str, Any]:
    wire = to_wire(message)
    if isinstance(message, AssistantMessage) and "reasoning_content" in refused:
        wire.pop("reasoning_content", None)
    return wire


async def _until(deadline: float, stream: AsyncIterator[object]) -> AsyncGenerator[object]:
    """The stream's events, as long as they come before ``deadline`` (of the event loop's clock).

    The transport's own read timeout is not enough: keep-alive comments reset it.
    """
    events = aiter(stream)
    while True:
        async with asyncio.timeout_at(deadline):
            event = await anext(events, _END)
        if event is _END:
            return
        yield event
