"""Measure what the engine promises of an agent's steps and of attempts made at once.

    python benchmarks/engine_bars.py agent-step | parallel-attempts | all
        [--model qwen2.5-coder-1.5b] [--rounds 5] [--json FILE] [--http URL --key KEY]

The real engine in this process, the real model, on an idle machine. Variants are measured in turn,
A B C A B C; a ratio is the median over the rounds. Exits with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path

import torch
from attempts_over_http import attempts_over_http
from bars import Bar, bar, in_turn, say

from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.subject import Subject, load_subject, run_requests
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.hub import resolve
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.loading import LoadOptions
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest

NUM_STEPS = 12
NUM_SESSION_TOKENS = 6000
"""Of the prompt of the last step."""
NUM_NEW_TOKENS = 200
NUM_STEP_REPLY_TOKENS = 24
NUM_ATTEMPTS = 4
NUM_ATTEMPT_PROMPT_TOKENS = 3000
NUM_ATTEMPT_TOKENS = 128
WINDOW = 8192


class AgentStep:
    """A session that has grown step by step to the point before its last step."""

    def __init__(self, subject: Subject, prompts: Prompts) -> None:
        self._subject = subject
        self._prompts = prompts
        grown = (NUM_STEPS - 1) * (NUM_STEP_REPLY_TOKENS + NUM_NEW_TOKENS)
        self._history = prompts.prompt(NUM_SESSION_TOKENS - grown, salt=0)
        for step in range(1, NUM_STEPS):
            say(f"step {step}: {len(self._history)} tokens")
            self._history += self._reply(self._history)
            if step < NUM_STEPS - 1:
                self._history += prompts.tail(NUM_NEW_TOKENS, salt=step)

    def measure(self, num_rounds: int) -> list[Bar]:
        variants = {
            "step": self._step_s,
            "forward": self._forward_s,
            "alone": self._first_token_s,
            "uncached": self._uncached_s,
        }
        salts = count(NUM_STEPS)  # nothing that a variant computes is found by another one

        def with_new_ids(variant: Callable[[list[int]], float]) -> Callable[[], float]:
            return lambda: variant(self._prompts.tail(NUM_NEW_TOKENS, salt=next(salts)))

        times_s = in_turn(
            {name: with_new_ids(variant) for name, variant in variants.items()}, num_rounds
        )
        return [
            bar("step 12 / its 200 tokens alone", times_s, "step", "alone", at_most=1.15),
            bar("step 12 / a forward at that place", times_s, "step", "forward"),
            bar("the whole prompt / step 12", times_s, "uncached", "step", at_least=15.0),
        ]

    def _reply(self, prompt_ids: Sequence[int]) -> list[int]:
        params = SamplingParams(temperature=0.0, max_tokens=NUM_STEP_REPLY_TOKENS, ignore_eos=True)
        outputs = self._subject.engine.generate(prompt_ids, params)
        return [output.token_id for output in outputs if isinstance(output, TokenOutput)]

    def _step_s(self, new_ids: list[int]) -> float:
        return self._first_token_s([*self._history, *new_ids])

    def _first_token_s(self, prompt_ids: list[int]) -> float:
        (reply,) = self._subject.generate([prompt_ids], num_tokens=1).replies
        return reply.ttft_s

    def _uncached_s(self, new_ids: list[int]) -> float:
        """Leaves the session in the cache again."""
        self._subject.engine.reset()
        return self._step_s(new_ids)

    def _forward_s(self, new_ids: list[int]) -> float:
        """The model alone behind the same cached tokens: no scheduling, look-up or sampling."""
        model, storage, kv_cache = inner_parts(self._subject.engine)
        token_ids = [*self._history, *new_ids]
        cached = kv_cache.open(token_ids)
        new_ids = token_ids[cached.length :]
        assert cached.reserve(len(new_ids)), "the pool holds a window"
        rows = SequenceRows(
            block_table=cached.block_table,
            start=cached.length,
            num_tokens=len(new_ids),
            num_logits=1,
        )
        batch = ForwardBatch(input_ids=torch.tensor(new_ids), sequences=(rows,))
        begun = time.perf_counter()
        with torch.inference_mode():
            model.forward(batch, storage)
        elapsed_s = time.perf_counter() - begun
        cached.close()
        return elapsed_s


def inner_parts(engine: Engine) -> tuple[CausalLM, KVStorage, KVCache]:
    """What the engine keeps to itself: only this measurement wants to do without the engine."""
    inside = vars(engine)
    return inside["_model"], inside["_storage"], inside["_kv_cache"]


def agent_step(subject: Subject, num_rounds: int) -> list[Bar]:
    prompts = Prompts(subject.loaded.tokenizer, max_tokens=NUM_SESSION_TOKENS)
    return AgentStep(subject, prompts).measure(num_rounds)


def parallel_attempts(subject: Subject, num_rounds: int) -> list[Bar]:
    """Four seeds of one prompt: at once, and one after the other with and without reuse."""
    prompts = Prompts(subject.loaded.tokenizer, max_tokens=NUM_ATTEMPT_PROMPT_TOKENS)
    num_prefill_tokens: list[int] = []

    prompt_ids = prompts.prompt(NUM_ATTEMPT_PROMPT_TOKENS, salt=0)
    requests = [
        EngineRequest(prompt_ids=prompt_ids, params=attempt_params(seed))
        for seed in range(NUM_ATTEMPTS)
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
    return attempt_bars(in_turn(variants, num_rounds), num_prefill_tokens)


def attempt_params(seed: int) -> SamplingParams:
    return SamplingParams(
        temperature=0.7, seed=seed, max_tokens=NUM_ATTEMPT_TOKENS, ignore_eos=True
    )


def attempt_bars(times_s: dict[str, list[float]], num_prefill_tokens: Sequence[int]) -> list[Bar]:
    """The promise is held against a row that reuses the prefix, too."""
    return [
        bar("four at once / in a row", times_s, "at once", "in a row", at_most=0.6),
        bar("four at once / in a row without reuse", times_s, "at once", "without reuse"),
        Bar(
            name="tokens prefilled / tokens of one prompt",
            values=tuple(tokens / NUM_ATTEMPT_PROMPT_TOKENS for tokens in num_prefill_tokens),
            at_most=1.01,
            detail=f"{statistics.median(num_prefill_tokens):g} prefilled; the last token of a "
            "prompt is computed by each attempt",
        ),
    ]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["agent-step", "parallel-attempts", "all"])
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name or a path")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-speculation", action="store_false", dest="speculation")
    parser.add_argument("--json", type=Path, help="write every round there")
    parser.add_argument("--http", metavar="URL", help="parallel attempts through a server")
    parser.add_argument("--key", default="", help="of that server")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> list[Bar]:
    if args.http:
        times_s, num_prefill_tokens = attempts_over_http(
            args.http,
            args.key,
            num_rounds=args.rounds,
            num_prompt_tokens=NUM_ATTEMPT_PROMPT_TOKENS,
            params=[attempt_params(seed) for seed in range(NUM_ATTEMPTS)],
        )
        return attempt_bars(times_s, num_prefill_tokens)
    options = LoadOptions(context=WINDOW, speculation=args.speculation)
    subject = load_subject(resolve(args.model), options=options, progress=say)
    bars: list[Bar] = []
    if args.what in {"agent-step", "all"}:
        bars += agent_step(subject, args.rounds)
    if args.what in {"parallel-attempts", "all"}:
        bars += parallel_attempts(subject, args.rounds)
    return bars


def main() -> int:
    args = parse_args()
    bars = measure(args)
    for found in bars:
        print(found.verdict())
    if args.json is not None:
        facts = [asdict(found) | {"ratio": found.ratio, "holds": found.holds} for found in bars]
        args.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 0 if all(found.holds for found in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
