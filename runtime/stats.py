"""Counters of the engine, for ``/metrics``, ``/health`` and the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class EngineCounters:
    """Grow from the start of the process; written by the engine's thread, read by any."""

    num_requests: int = 0
    """Sequences that were admitted."""
    num_prompt_tokens: int = 0
    num_cached_prompt_tokens: int = 0
    """Of them, found in the cache."""
    num_prefill_tokens: int = 0
    """Prompt tokens that were computed, those computed again after a preemption included."""
    num_generation_tokens: int = 0
    num_draft_tokens: int = 0
    num_accepted_draft_tokens: int = 0
    num_preemptions: int = 0
    num_evicted_blocks: int = 0
    num_forward_passes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineGauges:
    """What is now."""

    num_running: int
    num_waiting: int
    num_blocks: int
    num_used_blocks: int
    """Held by sequences."""
    num_cached_blocks: int
    """Held by nobody, kept for prompts to come; evicted when room is needed."""
