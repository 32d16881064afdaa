"""From a sequence's tokens to a reply: text, cut at stop strings, tool calls read out.

Not here: computing the tokens (``engine.py``), which thread does it (``worker.py``), and the wire
form of a reply (``server/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.runtime.grammar import Grammar
from rnj_agent.runtime.outputs import (
    FinishReason,
    PrefillProgress,
    TokenLogprob,
    TokenOutput,
    Usage,
)
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.stop_strings import StopStrings
from rnj_agent.runtime.tokenizer import StreamDecoder, Tokenizer
from rnj_agent.runtime.tool_calls import (
    CallPart,
    CallStart,
    GuidedCallParser,
    Part,
    TextPart,
    ToolCallParser,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    prompt_ids: Sequence[int]
    params: SamplingParams
    num_choices: int = 1
    """Replies to the same prompt, which is computed once."""
    read_tool_calls: bool = False
    """Whether calls are taken out of the text; without tools everything is text."""
    single_tool_call: bool = False
    """End right after the first complete call."""
    guided_calls: bool = False
    """The grammar sees to the form of the calls: they are streamed as they come."""
    grammar: Grammar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyDelta:
    """What one token added to one of the replies; often nothing yet."""

    index: int = 0
    """Which reply."""
    parts: tuple[Part, ...]
    finish_reason: FinishReason | None
    """Set in the last one of each reply, and only there."""
    usage: Usage
    """Of this reply."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the token, where they were asked for; a token that ends the turn has none."""


CompletionOutput: TypeAlias = PrefillProgress | ReplyDelta


class Reply:
    """Bytes to text to parts; text is held back only while its meaning is open."""

    def __init__(self, tokenizer: Tokenizer, request: CompletionRequest, *, index: int = 0) -> None:
        self.index = index
        self.is_finished = False
        self._decoder = StreamDecoder(tokenizer)
        self._stop = StopStrings(request.params.stop)
        self._parser = _parser(request)
        # a grammar ends the reply itself, with the close tag that the guided parser waits for
        self._ends_at_call = request.single_tool_call and not request.guided_calls
        self._has_call = False

    def add(self, output: TokenOutput) -> ReplyDelta:
        """What the next token adds."""
        is_text = output.finish_reason != "stop"
        text = self._decoder.feed(output.token_id) if is_text else ""
        if output.finish_reason is not None:
            text += self._decoder.finish()
        check = self._stop.feed(text)
        is_over = check.stopped or output.finish_reason is not None
        parts = self._parts(check.text, is_over=is_over)
        is_cut = output.finish_reason == "length" and not check.stopped
        reason = self._finish_reason(is_over=is_over, is_cut=is_cut)
        self.is_finished = reason is not None
        return ReplyDelta(
            index=self.index,
            parts=parts,
            finish_reason=reason,
            usage=output.usage,
            logprobs=(output.logprob,) if output.logprob is not None and is_text else (),
        )

    def _parts(self, text: str, *, is_over: bool) -> tuple[Part, ...]:
        if is_over:
            text += self._stop.finish()
        if self._parser is None:
            return (TextPart(text),) if text else ()
        parts = [*self._parser.feed(text), *(self._parser.finish() if is_over else ())]
        calls = [i for i, part in enumerate(parts) if isinstance(part, CallPart | CallStart)]
        self._has_call = self._has_call or bool(calls)
        if calls and self._ends_at_call:
            del parts[calls[0] + 1 :]
        return tuple(parts)

    def _finish_reason(self, *, is_over: bool, is_cut: bool) -> FinishReason | None:
        if self._has_call and (self._ends_at_call or (is_over and not is_cut)):
            return "tool_calls"
        if not is_over:
            return None
        return "length" if is_cut else "stop"


def _parser(request: CompletionRequest) -> ToolCallParser | GuidedCallParser | None:
    if not request.read_tool_calls:
        return None
    return GuidedCallParser() if request.guided_calls else ToolCallParser()
