"""What to expect of the default model on this machine: an estimate, made in less than a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.cli.doctor.check import Check
from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL

_GIGA: Final = 1e9
_BUFFER_BYTES: Final = 512 * 2**20
_DURATION_S: Final = 0.2
_RESERVE_BYTES: Final = 512 * 2**20
"""What the runtime leaves free for activations and the rest of the process."""
_USEFUL_WINDOW: Final = 8192
"""Tokens: an agent's session of a few steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """As the runtime loads it on a processor: int8 weights, bfloat16 keys and values."""

    name: str
    weights_bytes: int
    decode_bytes: int
    """Read for each token: the weights without the embedding's table."""
    kv_bytes_per_token: int
    max_window: int
    """Tokens, by default."""


DEFAULT_MODEL: Final = ModelCost(
    name=DEFAULT_BUNDLED_MODEL,
    weights_bytes=2_012_000_000,
    decode_bytes=1_544_000_000,
    kv_bytes_per_token=28_672,
    max_window=32_768,
)
"""Counted from the file's shapes; a test compares them with the file."""

_LOW_SHARE, _HIGH_SHARE = 0.22, 0.35
"""Of the read bandwidth that decoding reaches. An assumption from one machine (two cores, AVX-512,
int8 weights): 5.6 tokens/s and, on another occasion, 31 GB/s make 0.28. ``rnj-agent bench runtime``
measures the share itself."""


def check_expectation() -> list[Check]:
    """Read bandwidth, speed and window; the first two are estimates."""
    from rnj_agent.runtime.bench.bandwidth import measure_read_bandwidth
    from rnj_agent.runtime.machine import available_memory_bytes

    available_bytes = available_memory_bytes()
    measured = measure_read_bandwidth(
        buffer_bytes=min(_BUFFER_BYTES, available_bytes // 8), duration_s=_DURATION_S
    )
    bandwidth = Check(
        name="bandwidth",
        status="ok",
        detail=f"about {measured.bytes_per_s / _GIGA:.0f} GB/s read by {measured.num_threads} "
        "threads: what decoding waits for",
    )
    return [
        bandwidth,
        speed(DEFAULT_MODEL, bytes_per_s=measured.bytes_per_s),
        window(DEFAULT_MODEL, available_bytes=available_bytes),
    ]


def speed(model: ModelCost, *, bytes_per_s: float) -> Check:
    """Tokens of a reply per second."""
    low, high = (share * bytes_per_s / model.decode_bytes for share in (_LOW_SHARE, _HIGH_SHARE))
    return Check(
        name="speed",
        status="ok",
        detail=f"about {_range(low, high)} tokens/s with {model.name} (an estimate)",
        hint="rnj-agent bench runtime --quick    # measures it",
    )


def window(model: ModelCost, *, available_bytes: int) -> Check:
    """Tokens of prompt and reply that fit the memory."""
    free_bytes = available_bytes - model.weights_bytes - _RESERVE_BYTES
    num_tokens = min(model.max_window, max(0, free_bytes // model.kv_bytes_per_token))
    detail = f"{num_tokens} tokens fit the memory with {model.name}"
    if num_tokens >= _USEFUL_WINDOW:
        return Check(name="window", status="ok", detail=detail)
    return Check(
        name="window",
        status="warning",
        detail=f"only {detail}",
        hint="close other programs, or use a server elsewhere: --endpoint URL",
    )


def _range(low: float, high: float) -> str:
    """Whole numbers where they tell the ends apart."""
    decimals = 0 if low >= 1 and round(low) < round(high) else 1
    return f"{low:.{decimals}f}-{high:.{decimals}f}"
