"""Turns prompt ids into reply ids: one sequence, one KV cache, prefix kept between requests.

Not here: text (``completion.py``), waiting in line (``scheduler.py``), HTTP (``server/``).

What the cache holds of the current sequence, ``[0, S)`` being all its tokens so far:

    [0, num_cached_tokens)     computed by an earlier request and found again
    [num_cached_tokens, C)     computed by this request; C = kv_cache.length = len(_cached_ids)
    [C, S)                     not computed yet: prompt chunks to come, or the newest token

``_cached_ids`` always names exactly the tokens whose keys and values are in the cache, so a request
may be dropped between any two outputs and the next one still reuses what was done.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch

from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.kv_cache import KVCache
from rnj_agent.runtime.sampling import Sampler, SamplingParams

PREFILL_CHUNK = 512
"""Prompt tokens of one forward pass; between two of them a request can be cancelled."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


class CausalLM(Protocol):
    def forward(
        self, input_ids: torch.Tensor, kv_cache: KVCache, *, num_logits: int = 1
    ) -> torch.Tensor:
        """[T] int64 -> [num_logits, V] float32; appends T tokens to the cache."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    num_prompt_tokens: int
    num_cached_tokens: int
    """Prompt tokens whose keys and values were still there from the request before."""
    num_completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillProgress:
    """A chunk of the prompt was computed; the reply has not begun."""

    num_computed_tokens: int
    """Of the prompt, cached ones included."""
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOutput:
    token_id: int
    finish_reason: Literal["stop", "length"] | None
    """``stop``: this token ends the turn and is not text. None: more may come."""
    usage: Usage


EngineOutput: TypeAlias = PrefillProgress | TokenOutput


class Engine:
    """One request at a time; the caller's thread does the work."""

    def __init__(self, model: CausalLM, *, kv_cache: KVCache, eos_ids: Set[int]) -> None:
        self._model = model
        self._kv_cache = kv_cache
        self._eos_ids = eos_ids
        self._cached_ids: list[int] = []

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and reply together."""
        return self._kv_cache.capacity

    def check_fits(self, num_prompt_tokens: int) -> None:
        """A prompt must leave room for one token of reply.

        Raises:
            RequestError: it does not, or there is no prompt at all.
        """
        if num_prompt_tokens >= self.max_model_len:
            raise context_length_exceeded(num_prompt_tokens, self.max_model_len)
        if num_prompt_tokens == 0:
            raise RequestError("The prompt is empty.", param="messages")

    def generate(
        self, prompt_ids: Sequence[int], params: SamplingParams
    ) -> Generator[EngineOutput, None, None]:
        """Yield prefill progress, then the reply's tokens; closing the iterator cancels.

        Raises:
            RequestError: the prompt does not fit the window.
            EngineError: the forward pass failed; the engine can go on with other requests.
        """
        self.check_fits(len(prompt_ids))
        num_cached_tokens = self._reuse_prefix(prompt_ids)
        logits: torch.Tensor | None = None
        while (num_computed := len(self._cached_ids)) < len(prompt_ids):
            logits = self._forward(prompt_ids[num_computed : num_computed + PREFILL_CHUNK])
            usage = _usage(prompt_ids, num_cached_tokens, 0)
            yield PrefillProgress(num_computed_tokens=len(self._cached_ids), usage=usage)
        assert logits is not None, "the prompt's last token is always computed"
        yield from self._decode(prompt_ids, params, logits, num_cached_tokens)

    def reset(self) -> None:
        """Forget what earlier requests left in the cache."""
        self._kv_cache.truncate(0)
        self._cached_ids.clear()

    def _decode(
        self,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        logits: torch.Tensor,
        num_cached_tokens: int,
    ) -> Iterator[TokenOutput]:
        sampler = Sampler(params)
        history_ids = list(prompt_ids)
        room = self.max_model_len - len(prompt_ids)
        max_tokens = room if params.max_tokens is None else min(room, params.max_tokens)
        for num_completion_tokens in range(1, max_tokens + 1):
            token_id = sampler.sample(logits, history_ids)
            history_ids.append(token_id)
            is_eos = token_id in self._eos_ids and not params.ignore_eos
            is_last = num_completion_tokens == max_tokens
            reason = "stop" if is_eos else "length" if is_last else None
            usage = _usage(prompt_ids, num_cached_tokens, num_completion_tokens)
            yield TokenOutput(token_id=token_id, finish_reason=reason, usage=usage)
            if reason is not None:
                return
            logits = self._forward([token_id])

    def _reuse_prefix(self, prompt_ids: Sequence[int]) -> int:
        """Keep what the cache shares with the prompt, but for the last token: its logits count."""
        num_shared = _common_prefix_length(self._cached_ids, prompt_ids)
        num_cached_tokens = min(num_shared, len(prompt_ids) - 1)
        self._kv_cache.truncate(num_cached_tokens)
        del self._cached_ids[num_cached_tokens:]
        return num_cached_tokens

    def _forward(self, token_ids: Sequence[int]) -> torch.Tensor:
        """Append these tokens to the cache; [V] float32, the logits after the last one."""
        try:
            with torch.inference_mode():
                logits = self._model.forward(torch.tensor(token_ids), self._kv_cache)
        except RuntimeError as exc:
            self._kv_cache.truncate(len(self._cached_ids))
            raise EngineError(f"The forward pass failed: {exc}") from exc
        self._cached_ids.extend(token_ids)
        assert self._kv_cache.length == len(self._cached_ids)
        return logits[-1]


def context_length_exceeded(
    num_prompt_tokens: int, max_model_len: int, *, at_least: bool = False
) -> RequestError:
    """The error that OpenAI's clients know by its code, with the numbers."""
    return RequestError(
        f"The prompt has {'at least ' if at_least else ''}{num_prompt_tokens} tokens; this "
        f"model's context length is {max_model_len} tokens, prompt and reply together.",
        hint="Shorten the messages, or start the server with a larger --context.",
        param="messages",
        code="context_length_exceeded",
    )


def _common_prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    for position, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return position
    return min(len(a), len(b))


def _usage(prompt_ids: Sequence[int], num_cached_tokens: int, num_completion_tokens: int) -> Usage:
    return Usage(
        num_prompt_tokens=len(prompt_ids),
        num_cached_tokens=num_cached_tokens,
        num_completion_tokens=num_completion_tokens,
    )
