"""Attempts at one prompt through a running server, at once and one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import httpx
from bars import in_turn

from rnj_agent.runtime.sampling import SamplingParams

_TIMEOUT_S = 1800.0
_FIRST_SALT_ID = 1000
"""Ordinary words in the vocabularies of all models here."""


def attempts_over_http(
    url: str,
    key: str,
    *,
    num_rounds: int,
    num_prompt_tokens: int,
    params: Sequence[SamplingParams],
) -> tuple[dict[str, list[float]], list[int]]:
    """Seconds by variant, and the prompt tokens that the server computed for those at once."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=_TIMEOUT_S) as client:
        attempts = _Attempts(client, num_prompt_tokens, params)
        times_s = in_turn(
            {
                "at once": attempts.at_once,
                "in a row": attempts.in_a_row,
                "without reuse": attempts.without_reuse,
            },
            num_rounds,
        )
        return times_s, attempts.num_prefill_tokens


class _Attempts:
    """A server cannot be told to forget: every prompt that must be cold begins with its own token.

    Attributes:
        num_prefill_tokens: one number for each time that the attempts were made at once.
    """

    def __init__(
        self, client: httpx.Client, num_prompt_tokens: int, params: Sequence[SamplingParams]
    ) -> None:
        self.num_prefill_tokens: list[int] = []
        self._client = client
        self._params = params
        text = "".join(f"def f_{i}(x: int) -> int:\n    return x + {i}\n\n" for i in range(1000))
        tokens: list[int] = self._post("/tokenize", {"prompt": text})["tokens"]
        assert len(tokens) >= num_prompt_tokens
        self._prompt_ids = tokens[: num_prompt_tokens - 1]
        self._salt_ids = count(_FIRST_SALT_ID + time.time_ns() % 10_000)

    def at_once(self) -> float:
        prompt_ids = self._cold_prompt()
        before = self._counter("rnj_prefill_tokens_total")
        begun = time.perf_counter()
        with ThreadPoolExecutor(len(self._params)) as pool:
            list(pool.map(partial(self._attempt, prompt_ids), self._params))
        elapsed_s = time.perf_counter() - begun
        self.num_prefill_tokens.append(self._counter("rnj_prefill_tokens_total") - before)
        return elapsed_s

    def in_a_row(self) -> float:
        prompt_ids = self._cold_prompt()
        return sum(self._attempt(prompt_ids, params) for params in self._params)

    def without_reuse(self) -> float:
        return sum(self._attempt(self._cold_prompt(), params) for params in self._params)

    def _cold_prompt(self) -> list[int]:
        return [next(self._salt_ids), *self._prompt_ids]

    def _attempt(self, prompt_ids: list[int], params: SamplingParams) -> float:
        body = {
            "prompt": prompt_ids,
            "temperature": params.temperature,
            "seed": params.seed,
            "max_tokens": params.max_tokens,
            "ignore_eos": params.ignore_eos,
        }
        begun = time.perf_counter()
        usage = self._post("/v1/completions", body)["usage"]
        elapsed_s = time.perf_counter() - begun
        assert usage["completion_tokens"] == params.max_tokens
        return elapsed_s

    def _post(self, path: str, body: Mapping[str, object]) -> Any:
        response = self._client.post(path, json=body)
        response.raise_for_status()
        return response.json()

    def _counter(self, name: str) -> int:
        lines = self._client.get("/metrics").text.splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith(name + " "))
