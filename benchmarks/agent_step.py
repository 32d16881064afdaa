"""The last step of an agent's session: its first token, and what that is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count

import torch
from bars import Bar, bar, in_turn, say

from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.subject import Subject
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams

NUM_STEPS = 12
NUM_SESSION_TOKENS = 6000
"""Of the prompt of the last step."""
NUM_NEW_TOKENS = 200
NUM_REPLY_TOKENS = 16
"""Of each step before the last."""


class AgentStep:
    """A session that has grown step by step to the point before its last step."""

    def __init__(self, subject: Subject, prompts: Prompts) -> None:
        self._subject = subject
        self._prompts = prompts
        grown = (NUM_STEPS - 1) * (NUM_REPLY_TOKENS + NUM_NEW_TOKENS)
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
        params = SamplingParams(temperature=0.0, max_tokens=NUM_REPLY_TOKENS, ignore_eos=True)
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
