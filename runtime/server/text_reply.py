"""Plain completions and their chunks, in the shapes of OpenAI's older API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnj_agent.runtime.completion import ReplyDelta
from rnj_agent.runtime.outputs import TokenLogprob
from rnj_agent.runtime.reply_parts import Part, TextPart
from rnj_agent.runtime.server.replies import WholeReply
from rnj_agent.runtime.server.wire_logprobs import TextLogprobs
from rnj_agent.runtime.server.wire_reply import ReplyHead
from rnj_agent.runtime.tokenizer import Tokenizer


def text_completion(
    head: ReplyHead,
    replies: Sequence[WholeReply],
    tokenizer: Tokenizer | None,
    *,
    echoes: Sequence[str],
) -> dict[str, Any]:
    """The whole reply at once, but for the usage.

    Args:
        head: names it.
        replies: its choices.
        tokenizer: to spell tokens with, where logprobs were asked for.
        echoes: what each choice's text begins with.
    """
    choices = [
        _choice(
            index,
            echo + _text(reply.parts),
            reply.finish_reason,
            None if tokenizer is None else TextLogprobs(tokenizer).add(reply.logprobs),
        )
        for index, (reply, echo) in enumerate(zip(replies, echoes, strict=True))
    ]
    return head.body("text_completion", choices)


class TextChunks:
    """Makes the chunks of a streamed completion."""

    def __init__(
        self, head: ReplyHead, tokenizer: Tokenizer | None, *, echoes: Sequence[str]
    ) -> None:
        self._head = head
        self._echoes = list(echoes)
        self._pending: list[list[TokenLogprob]] = [[] for _ in echoes]
        self._logprobs = None if tokenizer is None else [TextLogprobs(tokenizer) for _ in echoes]

    def chunks(self, delta: ReplyDelta) -> list[dict[str, Any]]:
        """The chunk of one delta; often none."""
        index = delta.index
        self._pending[index] += delta.logprobs
        text = self._echoes[index] + _text(delta.parts)
        self._echoes[index] = ""
        if not text and delta.finish_reason is None:
            return []
        choice = _choice(index, text, delta.finish_reason, self._taken_logprobs(index))
        return [self._head.body("text_completion", [choice])]

    def empty(self) -> dict[str, Any]:
        """A chunk without choices, which carries the usage."""
        return self._head.body("text_completion", [])

    def _taken_logprobs(self, index: int) -> dict[str, Any] | None:
        if self._logprobs is None:
            return None
        pending, self._pending[index] = self._pending[index], []
        return self._logprobs[index].add(pending)


def _choice(
    index: int, text: str, finish_reason: str | None, logprobs: dict[str, Any] | None
) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": finish_reason, "logprobs": logprobs}


def _text(parts: Sequence[Part]) -> str:
    """Without tools everything is text."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))
