"""A streamed chat completion, put together: JSON pieces in, chunks out.

Servers differ in what they leave out, so nothing is required but a finish reason at the end.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.model import (
    Chunk,
    FinishChunk,
    ReasoningChunk,
    TextChunk,
    ToolCallChunk,
    UsageChunk,
)
from rnj_agent.agent.model_failures import BrokenReplyError


@dataclass(slots=True)
class _PartialCall:
    index: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class ReplyAssembler:
    """Feed it every event of one reply in order, then ``finish`` it."""

    def __init__(self) -> None:
        self._call: _PartialCall | None = None
        self._usage: UsageChunk | None = None
        self._finish_reason = ""

    def feed(self, event: object) -> Iterator[Chunk]:
        """The chunks that one event completes."""
        data = _mapping(event)
        if usage := _usage(_mapping(data.get("usage"))):
            if usage != self._usage:
                yield usage
            self._usage = usage
        for choice in _mappings(data.get("choices")):
            yield from self._feed_choice(choice)

    def finish(self) -> Iterator[Chunk]:
        """The chunks that the end of the stream completes.

        Raises:
            BrokenReplyError: the stream ended before the reply did.
        """
        if not self._finish_reason:
            raise BrokenReplyError("the stream ended in the middle of a reply")
        yield from self._end_call()
        yield FinishChunk(finish_reason=self._finish_reason)

    def _feed_choice(self, choice: Mapping[str, Any]) -> Iterator[Chunk]:
        delta = _mapping(choice.get("delta"))
        # Both names are in use; a server that sends both sends the same text twice.
        if reasoning := _text(delta, "reasoning_content") or _text(delta, "reasoning"):
            yield ReasoningChunk(text=reasoning)
        if text := _text(delta, "content"):
            yield TextChunk(text=text)
        for call in _mappings(delta.get("tool_calls")):
            yield from self._feed_call(call)
        self._finish_reason = _text(choice, "finish_reason") or self._finish_reason

    def _feed_call(self, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        index, call_id = delta.get("index"), _text(delta, "id")
        if self._call is not None and _starts_another(self._call, index, call_id):
            yield from self._end_call()
        if self._call is None:
            self._call = _PartialCall(index if isinstance(index, int) else 0)
        call, function = self._call, _mapping(delta.get("function"))
        call.id = call.id or call_id
        call.name = call.name or _text(function, "name")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.arguments.append(arguments)
        elif arguments is not None:  # an object, where the API says text
            call.arguments.append(json.dumps(arguments, ensure_ascii=False))

    def _end_call(self) -> Iterator[Chunk]:
        call, self._call = self._call, None
        if call is not None:
            # An identifier must be unique in the whole session: results are matched by it.
            call_id = call.id or f"call_{secrets.token_hex(6)}"
            arguments = "".join(call.arguments) or "{}"
            yield ToolCallChunk(call=ToolCall(id=call_id, name=call.name, arguments=arguments))


def _starts_another(call: _PartialCall, index: object, call_id: str) -> bool:
    # Ollama numbers all its calls 0 and tells them apart by their identifiers.
    return (isinstance(index, int) and index != call.index) or bool(call_id and call_id != call.id)


def _usage(usage: Mapping[str, Any]) -> UsageChunk | None:
    if not isinstance(usage.get("prompt_tokens"), int):
        return None
    details = _mapping(usage.get("prompt_tokens_details"))
    return UsageChunk(
        num_prompt_tokens=usage["prompt_tokens"],
        num_cached_tokens=_count(details, "cached_tokens"),
        num_completion_tokens=_count(usage, "completion_tokens"),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [_mapping(item) for item in cast(list[object], value)] if isinstance(value, list) else []


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _count(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) else 0
