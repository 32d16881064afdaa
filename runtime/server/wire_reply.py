"""What clients get: chat completions, their chunks and errors, in the shapes of OpenAI's API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rnj_agent.runtime.engine import Usage
from rnj_agent.runtime.tool_calls import CallPart, TextPart


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHead:
    """What all chunks of one reply share."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    """Unix seconds."""


def chat_completion(
    head: ReplyHead,
    parts: Sequence[TextPart | CallPart],
    *,
    finish_reason: str | None,
    usage: Usage,
) -> dict[str, Any]:
    """The whole reply at once."""
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    calls = [_tool_call(part) for part in parts if isinstance(part, CallPart)]
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    return {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [choice],
        "usage": usage_dict(usage),
    }


def chunk(
    head: ReplyHead,
    delta: dict[str, Any] | None,
    *,
    finish_reason: str | None = None,
    usage: Usage | None = None,
) -> dict[str, Any]:
    """One event of a streamed reply; without a delta it carries the usage alone."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    body: dict[str, Any] = {
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "choices": [] if delta is None else [choice],
    }
    if usage is not None:
        body["usage"] = usage_dict(usage)
    return body


def part_delta(part: TextPart | CallPart, *, call_index: int) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"content": part.text}
    return {"tool_calls": [{"index": call_index, **_tool_call(part)}]}


def usage_dict(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.num_prompt_tokens,
        "completion_tokens": usage.num_completion_tokens,
        "total_tokens": usage.num_prompt_tokens + usage.num_completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.num_cached_tokens},
    }


def error_body(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _tool_call(call: CallPart) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
