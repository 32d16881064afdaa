"""A reply on the wire as it comes: server-sent events, with comments while nothing comes yet.

Comments (lines that begin with a colon) keep clients and proxies from giving up during a long
prefill; every client skips them. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, assert_never

from rnj_agent.runtime.completion import ReplyDelta
from rnj_agent.runtime.engine import PrefillProgress
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.scheduler import Generation, Waiting
from rnj_agent.runtime.server.wire_reply import ReplyHead, chunk, error_body, part_delta
from rnj_agent.runtime.server.wire_request import StreamOptions
from rnj_agent.runtime.tool_calls import CallPart

HEARTBEAT_S = 5.0


async def stream_reply(
    head: ReplyHead, generation: Generation, options: StreamOptions
) -> AsyncGenerator[str, None]:
    """The events of one reply. Closing it, as a disconnect does, cancels the generation."""
    reply = _ReplyEvents(head, options)
    try:
        yield comment("queued")
        async for output in generation.outputs(heartbeat_s=HEARTBEAT_S):
            match output:
                case Waiting():
                    yield comment("working")
                case PrefillProgress():
                    total = output.usage.num_prompt_tokens
                    yield comment(f"prefill {output.num_computed_tokens}/{total}")
                case ReplyDelta():
                    for body in reply.chunks(output):
                        yield event(body)
                case _:
                    assert_never(output)
        yield event(_CUT_SHORT) if not reply.finished else "data: [DONE]\n\n"
    except RnjRuntimeError as exc:
        yield event(error_body(exc.message, "server_error"))
    finally:
        generation.cancel()


class _ReplyEvents:
    """Reply deltas to chunk bodies: the role first, the usage last."""

    def __init__(self, head: ReplyHead, options: StreamOptions) -> None:
        self.finished = False
        self._head = head
        self._options = options
        self._begun = False
        self._num_calls = 0

    def chunks(self, delta: ReplyDelta) -> list[dict[str, Any]]:
        usage = delta.usage if self._options.continuous_usage_stats else None
        deltas = self._deltas(delta)
        bodies = [chunk(self._head, wire_delta, usage=usage) for wire_delta in deltas]
        if delta.finish_reason is None:
            return bodies
        self.finished = True
        bodies.append(chunk(self._head, {}, finish_reason=delta.finish_reason, usage=usage))
        if self._options.include_usage:
            bodies.append(chunk(self._head, None, usage=delta.usage))
        return bodies

    def _deltas(self, delta: ReplyDelta) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = []
        if not self._begun:
            self._begun = True
            deltas.append({"role": "assistant", "content": ""})
        for part in delta.parts:
            deltas.append(part_delta(part, call_index=self._num_calls))
            self._num_calls += isinstance(part, CallPart)
        return deltas


def event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"


def comment(text: str) -> str:
    return f": {text}\n\n"


_CUT_SHORT = error_body("The server is shutting down.", "server_error")
