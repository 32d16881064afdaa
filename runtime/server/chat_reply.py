"""Chat completions and their chunks, in the shapes of OpenAI's API."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, assert_never

from rnj_agent.runtime.completion import ReplyDelta
from rnj_agent.runtime.outputs import TokenLogprob
from rnj_agent.runtime.reply_parts import (
    CallArguments,
    CallPart,
    CallStart,
    Part,
    TextPart,
    collect,
)
from rnj_agent.runtime.server.replies import WholeReply
from rnj_agent.runtime.server.wire_logprobs import chat_logprobs
from rnj_agent.runtime.server.wire_reply import ReplyHead
from rnj_agent.runtime.tokenizer import Tokenizer


def chat_completion(
    head: ReplyHead, replies: Sequence[WholeReply], tokenizer: Tokenizer | None
) -> dict[str, Any]:
    """The whole reply at once, but for the usage.

    Args:
        head: names it.
        replies: its choices.
        tokenizer: to spell tokens with, where logprobs were asked for.
    """
    choices = [
        {
            "index": index,
            "message": _message(reply.parts),
            "finish_reason": reply.finish_reason,
            "logprobs": None if tokenizer is None else chat_logprobs(tokenizer, reply.logprobs),
        }
        for index, reply in enumerate(replies)
    ]
    return head.body("chat.completion", choices)


class ChatChunks:
    """Makes the chunks of a streamed chat completion: the role first, then what comes."""

    def __init__(self, head: ReplyHead, tokenizer: Tokenizer | None) -> None:
        self._head = head
        self._tokenizer = tokenizer
        self._choices: dict[int, _ChoiceSoFar] = {}

    def chunks(self, delta: ReplyDelta) -> list[dict[str, Any]]:
        """The chunks of one delta; often none."""
        so_far = self._choices.setdefault(delta.index, _ChoiceSoFar())
        so_far.logprobs += delta.logprobs
        bodies = [self._chunk(delta.index, wire) for wire in so_far.deltas(delta)]
        if delta.finish_reason is not None:
            bodies.append(self._chunk(delta.index, {}, finish_reason=delta.finish_reason))
        return bodies

    def empty(self) -> dict[str, Any]:
        """A chunk without choices, which carries the usage."""
        return self._head.body("chat.completion.chunk", [])

    def _chunk(
        self, index: int, delta: dict[str, Any], *, finish_reason: str | None = None
    ) -> dict[str, Any]:
        choice = {
            "index": index,
            "delta": delta,
            "finish_reason": finish_reason,
            "logprobs": None if "role" in delta else self._logprobs(self._choices[index]),
        }
        return self._head.body("chat.completion.chunk", [choice])

    def _logprobs(self, so_far: _ChoiceSoFar) -> dict[str, Any] | None:
        """Of all tokens since the last chunk: a token may add no text, or a piece of a letter."""
        if self._tokenizer is None or not so_far.logprobs:
            return None
        logprobs, so_far.logprobs = so_far.logprobs, []
        return chat_logprobs(self._tokenizer, logprobs)


class _ChoiceSoFar:
    """What the next chunk of a choice depends on."""

    def __init__(self) -> None:
        self.logprobs: list[TokenLogprob] = []
        self._has_role = False
        self._num_calls = 0

    def deltas(self, delta: ReplyDelta) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = []
        if not self._has_role:
            self._has_role = True
            deltas.append({"role": "assistant", "content": ""})
        return deltas + [self._part(part) for part in delta.parts]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case TextPart(text):
                return {"content": text}
            case CallPart(name, arguments):
                self._num_calls += 1
                return self._call(_tool_call(name, arguments))
            case CallStart(name):
                self._num_calls += 1
                return self._call(_tool_call(name, ""))
            case CallArguments(text):
                return self._call({"function": {"arguments": text}})
            case _:
                assert_never(part)

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        """A delta of the newest call."""
        return {"tool_calls": [{"index": self._num_calls - 1, **call}]}


def _message(parts: Sequence[Part]) -> dict[str, Any]:
    whole = collect(parts)
    text = "".join(part.text for part in whole if isinstance(part, TextPart))
    calls = [_tool_call(part.name, part.arguments) for part in whole if isinstance(part, CallPart)]
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        message["tool_calls"] = calls
    return message


def _tool_call(name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
