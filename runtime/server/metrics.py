"""What ``/metrics`` tells Prometheus, in a registry of the server's own.

Counters and gauges of the engine are read when they are asked for; times and sizes are observed as
replies come (``RequestTimes``). Names: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rnj_agent.runtime.outputs import FinishReason, Usage
from rnj_agent.runtime.worker import Worker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)
_TOKEN_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_TOKENS = (1, 4, 16, 64, 256, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)

_COUNTERS = (
    ("num_requests", "rnj_sequences", "Replies that the engine took on."),
    ("num_prompt_tokens", "rnj_prompt_tokens", "Tokens of prompts."),
    ("num_cached_prompt_tokens", "rnj_prompt_tokens_cached", "Of them, found in the cache."),
    ("num_prefill_tokens", "rnj_prefill_tokens", "Prompt tokens that were computed."),
    ("num_generation_tokens", "rnj_generation_tokens", "Tokens of replies."),
    ("num_draft_tokens", "rnj_draft_tokens", "Tokens that speculation guessed."),
    ("num_accepted_draft_tokens", "rnj_draft_tokens_accepted", "Of them, right."),
    ("num_preemptions", "rnj_preemptions", "Replies set back for want of blocks."),
    ("num_evicted_blocks", "rnj_kv_blocks_evicted", "Cached blocks given up for new tokens."),
    ("num_forward_passes", "rnj_forward_passes", "Passes through the model."),
)
_GAUGES = (
    ("num_running", "rnj_replies_running", "Replies that are being computed."),
    ("num_waiting", "rnj_replies_waiting", "Replies that wait for a place."),
    ("num_blocks", "rnj_kv_blocks", "Blocks of the KV cache."),
    ("num_used_blocks", "rnj_kv_blocks_used", "Held by replies."),
    ("num_cached_blocks", "rnj_kv_blocks_cached", "Kept for prompts to come."),
)


class ServerMetrics:
    """One server's numbers.

    Args:
        worker: gives the engine's worker, once the model is loaded.
    """

    def __init__(self, worker: Callable[[], Worker | None]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_EngineCollector(worker))
        self.http_requests = Counter(
            "rnj_http_requests",
            "Requests, by path and status.",
            ("path", "status"),
            registry=self.registry,
        )
        self.finished_replies = Counter(
            "rnj_replies_finished",
            "Replies, by what ended them: a finish reason, cancelled, or error.",
            ("reason",),
            registry=self.registry,
        )
        self.time_to_first_token = self._histogram(
            "rnj_time_to_first_token_seconds", "From the request to its first token.", _SECONDS
        )
        self.inter_token = self._histogram(
            "rnj_inter_token_seconds", "Between two tokens of a reply.", _TOKEN_SECONDS
        )
        self.request_duration = self._histogram(
            "rnj_request_duration_seconds", "From the request to its last token.", _SECONDS
        )
        self.request_prompt_tokens = self._histogram(
            "rnj_request_prompt_tokens", "Prompt tokens of a request.", _TOKENS
        )
        self.reply_tokens = self._histogram("rnj_reply_tokens", "Tokens of a reply.", _TOKENS)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)


class RequestTimes:
    """Observes one request from its submission to its end, however it ends."""

    def __init__(self, metrics: ServerMetrics, *, num_choices: int) -> None:
        self._metrics = metrics
        self._begun = time.monotonic()
        self._last_tokens: dict[int, tuple[float, int]] = {}
        """By choice: when its last token came, and how many there were."""
        self._num_unfinished = num_choices
        self._is_over = False

    def observe(self, choice: int, usage: Usage, finish_reason: FinishReason | None) -> None:
        """A choice has got so far."""
        now = time.monotonic()
        if not self._last_tokens:
            self._metrics.time_to_first_token.observe(now - self._begun)
            self._metrics.request_prompt_tokens.observe(usage.num_prompt_tokens)
        then, num_tokens = self._last_tokens.get(choice, (now, usage.num_completion_tokens))
        self._last_tokens[choice] = (now, usage.num_completion_tokens)
        if (num_new := usage.num_completion_tokens - num_tokens) > 0:
            for _ in range(num_new):
                self._metrics.inter_token.observe((now - then) / num_new)
        if finish_reason is not None:
            self._num_unfinished -= 1
            self._metrics.finished_replies.labels(finish_reason).inc()
            self._metrics.reply_tokens.observe(usage.num_completion_tokens)

    def end(self, *, failed: bool = False) -> None:
        """Nothing more will come; only the first call counts."""
        if self._is_over:
            return
        self._is_over = True
        if self._num_unfinished:
            reason = "error" if failed else "cancelled"
            self._metrics.finished_replies.labels(reason).inc(self._num_unfinished)
        else:
            self._metrics.request_duration.observe(time.monotonic() - self._begun)


class _EngineCollector(Collector):
    """Reads the engine's own counters when somebody asks."""

    def __init__(self, worker: Callable[[], Worker | None]) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        worker = self._worker()
        yield GaugeMetricFamily(
            "rnj_model_loaded", "1 once the model answers.", value=float(worker is not None)
        )
        if worker is None:
            return
        counters, gauges = worker.counters, worker.gauges
        for attribute, name, text in _COUNTERS:
            yield CounterMetricFamily(name, text, value=getattr(counters, attribute))
        for attribute, name, text in _GAUGES:
            yield GaugeMetricFamily(name, text, value=getattr(gauges, attribute))
