"""A reply on the wire as it comes: server-sent events, with comments while nothing comes yet.

Comments (lines that begin with a colon) keep clients and proxies from giving up during a long
prefill; every client skips them. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol, assert_never

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from rnj_agent.runtime.completion import ReplyDelta
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.outputs import PrefillProgress
from rnj_agent.runtime.server.replies import Replies, RepliesOutput
from rnj_agent.runtime.server.wire_chat import StreamOptions
from rnj_agent.runtime.server.wire_reply import error_body, usage_dict
from rnj_agent.runtime.worker import Waiting

HEARTBEAT_S = 5.0

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold the tokens back
}


class Chunks(Protocol):
    """Makes the chunks of one kind of reply."""

    def chunks(self, delta: ReplyDelta) -> list[dict[str, Any]]: ...

    def empty(self) -> dict[str, Any]:
        """One that carries nothing but the usage."""
        ...


class EventStream(StreamingResponse):
    """The response; a client that leaves, even before the first event, ends the replies."""

    def __init__(self, replies: Replies, chunks: Chunks, options: StreamOptions | None) -> None:
        events = reply_events(replies, chunks, options or StreamOptions())
        super().__init__(events, headers=_HEADERS)
        self._replies = replies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._replies.cancel()


async def reply_events(
    replies: Replies, chunks: Chunks, options: StreamOptions
) -> AsyncGenerator[str, None]:
    """The events of one request; [DONE] or an error is the last one."""
    try:
        async with aclosing(_events(replies, _Events(replies, chunks, options))) as events:
            async for each in events:
                yield each
    except RnjRuntimeError as exc:
        yield event(error_body(exc.message, "server_error"))


async def _events(replies: Replies, events: _Events) -> AsyncGenerator[str, None]:
    yield comment("queued")
    async with aclosing(replies.outputs(heartbeat_s=HEARTBEAT_S)) as outputs:
        async for output in outputs:
            for each in events.of(output):
                yield each
    for each in events.at_end():
        yield each


class _Events:
    """Outputs to events."""

    def __init__(self, replies: Replies, chunks: Chunks, options: StreamOptions) -> None:
        self._replies = replies
        self._chunks = chunks
        self._options = options
        self._has_begun = False

    def of(self, output: RepliesOutput) -> list[str]:
        match output:
            case Waiting():
                return [comment("working" if self._has_begun else "queued")]
            case PrefillProgress():
                self._has_begun = True
                total = output.usage.num_prompt_tokens
                return [comment(f"prefill {output.num_computed_tokens}/{total}")]
            case ReplyDelta():
                self._has_begun = True
                bodies = self._chunks.chunks(output)
                if self._options.continuous_usage_stats:
                    usage = {"usage": usage_dict(self._replies.usage)}
                    bodies = [body | usage for body in bodies]
                return [event(body) for body in bodies]
            case _:
                assert_never(output)

    def at_end(self) -> list[str]:
        if not self._replies.is_complete:
            return [event(error_body("The server is shutting down.", "server_error"))]
        usage = {"usage": usage_dict(self._replies.usage)}
        with_usage = [event(self._chunks.empty() | usage)] if self._options.include_usage else []
        return [*with_usage, "data: [DONE]\n\n"]


def event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"


def comment(text: str) -> str:
    return f": {text}\n\n"
