"""Attempts at one prompt with different seeds: at once, and one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from attempts_over_http import attempts_over_http
from bars import Bar, bar, in_turn

from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.subject import Subject, run_requests
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest

NUM_ATTEMPTS = 4
NUM_PROMPT_TOKENS = 3000
NUM_REPLY_TOKENS = 128


def parallel_attempts(subject: Subject, num_rounds: int) -> list[Bar]:
    """Four seeds of one prompt: at once, and one after the other with and without reuse."""
    prompts = Prompts(subject.loaded.tokenizer, max_tokens=NUM_PROMPT_TOKENS)
    num_prefill_tokens: list[int] = []

    prompt_ids = prompts.prompt(NUM_PROMPT_TOKENS, salt=0)
    requests = [
        EngineRequest(prompt_ids=prompt_ids, params=_params(seed)) for seed in range(NUM_ATTEMPTS)
    ]

    def at_once() -> float:
        subject.engine.reset()
        before = subject.engine.counters.num_prefill_tokens
        wall_s = run_requests(subject.engine, requests).wall_s
        num_prefill_tokens.append(subject.engine.counters.num_prefill_tokens - before)
        return wall_s

    def in_a_row() -> float:
        subject.engine.reset()
        return sum(run_requests(subject.engine, [one]).wall_s for one in requests)

    def without_reuse() -> float:
        total_s = 0.0
        for one in requests:
            subject.engine.reset()
            total_s += run_requests(subject.engine, [one]).wall_s
        return total_s

    variants = {"at once": at_once, "in a row": in_a_row, "without reuse": without_reuse}
    return _bars(in_turn(variants, num_rounds), num_prefill_tokens)


def parallel_attempts_over_http(url: str, key: str, num_rounds: int) -> list[Bar]:
    """The same through a server, whose engine it has to itself."""
    times_s, num_prefill_tokens = attempts_over_http(
        url,
        key,
        num_rounds=num_rounds,
        num_prompt_tokens=NUM_PROMPT_TOKENS,
        params=[_params(seed) for seed in range(NUM_ATTEMPTS)],
    )
    return _bars(times_s, num_prefill_tokens)


def _params(seed: int) -> SamplingParams:
    return SamplingParams(temperature=0.7, seed=seed, max_tokens=NUM_REPLY_TOKENS, ignore_eos=True)


def _bars(times_s: dict[str, list[float]], num_prefill_tokens: Sequence[int]) -> list[Bar]:
    """The promise is held against a row that reuses the prefix, too."""
    return [
        bar("four at once / in a row", times_s, "at once", "in a row", at_most=0.6),
        bar("four at once / in a row without reuse", times_s, "at once", "without reuse"),
        Bar(
            name="tokens prefilled / tokens of one prompt",
            values=tuple(tokens / NUM_PROMPT_TOKENS for tokens in num_prefill_tokens),
            at_most=1.01,
            detail=f"{statistics.median(num_prefill_tokens):g} prefilled; the last token of a "
            "prompt is computed by each attempt",
        ),
    ]
