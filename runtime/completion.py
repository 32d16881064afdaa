"""From a prompt to a reply: the engine's tokens as text, cut at stop strings, tool calls read out.

Not here: which thread does it (``scheduler.py``), and the wire form of a reply (``server/``).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.runtime.engine import Engine, FinishReason, PrefillProgress, TokenOutput, Usage
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.stop_strings import StopStrings
from rnj_agent.runtime.tokenizer import StreamDecoder, Tokenizer
from rnj_agent.runtime.tool_calls import CallPart, TextPart, ToolCallParser


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    prompt_ids: Sequence[int]
    params: SamplingParams
    read_tool_calls: bool = False
    """Whether calls are taken out of the text; without tools everything is text."""
    single_tool_call: bool = False
    """End right after the first complete call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyDelta:
    """What one token added to the reply; often nothing yet."""

    parts: tuple[TextPart | CallPart, ...]
    finish_reason: FinishReason | None
    """Set in the last one, and only there."""
    usage: Usage


CompletionOutput: TypeAlias = PrefillProgress | ReplyDelta


def complete(
    engine: Engine, tokenizer: Tokenizer, request: CompletionRequest
) -> Generator[CompletionOutput, None, None]:
    """Yield prefill progress, then the reply; closing the generator cancels.

    Raises:
        RequestError, EngineError: as ``Engine.generate``.
    """
    reply = _Reply(tokenizer, request)
    with closing(engine.generate(request.prompt_ids, request.params)) as outputs:
        for output in outputs:
            if isinstance(output, PrefillProgress):
                yield output
                continue
            delta = reply.add(output)
            yield delta
            if delta.finish_reason is not None:
                return


class _Reply:
    """Bytes to text to parts; text is held back only while its meaning is open."""

    def __init__(self, tokenizer: Tokenizer, request: CompletionRequest) -> None:
        self._decoder = StreamDecoder(tokenizer)
        self._stop = StopStrings(request.params.stop)
        self._parser = ToolCallParser() if request.read_tool_calls else None
        self._single_tool_call = request.single_tool_call
        self._has_call = False

    def add(self, output: TokenOutput) -> ReplyDelta:
        text = "" if output.finish_reason == "stop" else self._decoder.feed(output.token_id)
        if output.finish_reason is not None:
            text += self._decoder.finish()
        check = self._stop.feed(text)
        is_over = check.stopped or output.finish_reason is not None
        parts = self._parts(check.text, is_over=is_over)
        return ReplyDelta(
            parts=parts,
            finish_reason=self._finish_reason(output, is_over=is_over, stopped=check.stopped),
            usage=output.usage,
        )

    def _parts(self, text: str, *, is_over: bool) -> tuple[TextPart | CallPart, ...]:
        if is_over:
            text += self._stop.finish()
        if self._parser is None:
            return (TextPart(text),) if text else ()
        parts = [*self._parser.feed(text), *(self._parser.finish() if is_over else ())]
        calls = [index for index, part in enumerate(parts) if isinstance(part, CallPart)]
        self._has_call = self._has_call or bool(calls)
        if calls and self._single_tool_call:
            del parts[calls[0] + 1 :]
        return tuple(parts)

    def _finish_reason(
        self, output: TokenOutput, *, is_over: bool, stopped: bool
    ) -> FinishReason | None:
        if self._has_call and (
            self._single_tool_call or (is_over and not _is_cut(output, stopped))
        ):
            return "tool_calls"
        if not is_over:
            return None
        return "length" if _is_cut(output, stopped) else "stop"


def _is_cut(output: TokenOutput, stopped: bool) -> bool:
    """The reply ended for want of room, not because the model or a stop string ended it."""
    return output.finish_reason == "length" and not stopped
