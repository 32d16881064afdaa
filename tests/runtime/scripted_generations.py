"""A line of requests whose outputs a test writes: for what needs no engine."""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.runtime.completion import CompletionOutput, CompletionRequest, ReplyDelta
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.outputs import FinishReason, TokenLogprob, Usage
from rnj_agent.runtime.reply_parts import Part
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.server.metrics import ServerMetrics
from rnj_agent.runtime.server.replies import Replies
from rnj_agent.runtime.worker import Generation

Script = Sequence[CompletionOutput | RnjRuntimeError]


class ScriptedLine:
    """Delivers each request its script, and ends it unless ``stays_open``."""

    def __init__(self, *scripts: Script, stays_open: bool = False) -> None:
        self.generations: list[Generation] = []
        self._scripts = scripts
        self._stays_open = stays_open

    def submit(self, request: CompletionRequest) -> Generation:
        generation = Generation(request)
        for output in self._scripts[len(self.generations)]:
            generation.deliver(output)
        if not self._stays_open:
            generation.deliver(None)
        self.generations.append(generation)
        return generation


def usage(num_completion_tokens: int, *, cached: int = 0) -> Usage:
    return Usage(
        num_prompt_tokens=600,
        num_cached_tokens=cached,
        num_completion_tokens=num_completion_tokens,
    )


def delta(
    *parts: Part,
    index: int = 0,
    reason: FinishReason | None = None,
    num_tokens: int = 1,
    cached: int = 0,
    logprobs: tuple[TokenLogprob, ...] = (),
) -> ReplyDelta:
    return ReplyDelta(
        index=index,
        parts=parts,
        finish_reason=reason,
        usage=usage(num_tokens, cached=cached),
        logprobs=logprobs,
    )


def replies_of(
    line: ScriptedLine,
    *,
    num_prompts: int = 1,
    num_choices: int = 1,
    metrics: ServerMetrics | None = None,
) -> Replies:
    request = CompletionRequest(
        prompt_ids=range(600), params=SamplingParams(), num_choices=num_choices
    )
    return Replies(line, [request] * num_prompts, metrics or ServerMetrics(lambda: None))
