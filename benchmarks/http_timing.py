"""Streamed replies over HTTP, timed from the outside; and prompts as text."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from http_servers import HttpServer

from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint

_TIMEOUT_S = 1800.0
_MAX_PROMPT = 8192


class CodeTexts:
    """Text that looks like code. Prompts of different salts share no prefix."""

    def __init__(self, path: Path) -> None:
        with contextlib.closing(open_checkpoint(path)) as checkpoint:
            tokenizer = load_tokenizer(checkpoint.path, metadata=checkpoint.metadata)
        self._prompts = Prompts(tokenizer, max_tokens=_MAX_PROMPT)

    def prompt(self, num_tokens: int, *, salt: int) -> str:
        ids = self._prompts.prompt(num_tokens, salt=0)[1:]
        text = self._prompts.tokenizer.decode(ids)
        return f"# {salt} {time.time_ns() % 100_000}\n{text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    num_tokens: int
    ttft_s: float
    decode_s: float
    """From the first piece to the last."""

    @property
    def tokens_per_s(self) -> float:
        return (self.num_tokens - 1) / self.decode_s


def streamed(server: HttpServer, prompt: str, num_tokens: int) -> Streamed:
    """Greedy; the prompt is asked twice, so that its prefill is no part of the second."""
    _stream(server, prompt, 1)
    return _stream(server, prompt, num_tokens)


def at_once(server: HttpServer, prompts: Sequence[str], num_tokens: int) -> float:
    """Tokens per second of all replies together, prefill included."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        futures = [pool.submit(_stream, server, prompt, num_tokens) for prompt in prompts]
        replies = [future.result() for future in futures]
    return sum(reply.num_tokens for reply in replies) / (time.perf_counter() - begun)


def _stream(server: HttpServer, prompt: str, num_tokens: int) -> Streamed:
    body = {
        "prompt": prompt,
        "max_tokens": num_tokens,
        "temperature": 0.0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    times_s: list[float] = []
    stated: int | None = None
    begun = time.perf_counter()
    with httpx.stream(
        "POST",
        f"{server.base_url}/completions",
        json=body,
        headers=server.headers,
        trust_env=False,
        timeout=_TIMEOUT_S,
    ) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            piece = json.loads(line.removeprefix("data: "))
            stated = (piece.get("usage") or {}).get("completion_tokens", stated)
            if any(choice.get("text") for choice in piece.get("choices", ())):
                times_s.append(time.perf_counter() - begun)
    return Streamed(
        num_tokens=stated or len(times_s),
        ttft_s=times_s[0],
        decode_s=max(times_s[-1] - times_s[0], 1e-9),
    )
