"""What to expect of the default model on this machine: an estimate, made in less than a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """As the runtime loads it on a processor; keys and values in bfloat16."""

    name: str
    weights_bytes: int
    decode_bytes: int
    """Read for each token."""
    kv_bytes_per_token: int
    max_window: int
    """Tokens, by default."""
    shares: tuple[float, float]
    """Of the read bandwidth that decoding reaches: from, to. An assumption from one machine (two
    cores with AVX-512); ``rnj-agent bench runtime`` measures it."""


STORED: Final = ModelCost(
    name=DEFAULT_BUNDLED_MODEL,
    weights_bytes=1_132_100_000,
    decode_bytes=997_200_000,
    kv_bytes_per_token=28_672,
    max_window=32_768,
    shares=(0.6, 0.95),
)
"""In compiled kernels, as the file has it. Counted from its shapes; a test compares them."""
INT8: Final = replace(
    STORED, weights_bytes=2_012_000_000, decode_bytes=1_544_000_000, shares=(0.22, 0.35)
)
"""Without compiled kernels: int8 weights, and a table of its own for the embedding."""


def check_expectation() -> list[Check]:
    """Read bandwidth, speed and window; the first two are estimates."""
    from rnj_agent.runtime.bench.bandwidth import measure_read_bandwidth
    from rnj_agent.runtime.kernels.cpu.library import kernels_status
    from rnj_agent.runtime.machine import available_memory_bytes

    model = STORED if kernels_status().kernels else INT8
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
        speed(model, bytes_per_s=measured.bytes_per_s),
        window(model, available_bytes=available_bytes),
    ]


def speed(model: ModelCost, *, bytes_per_s: float) -> Check:
    """Tokens of a reply per second."""
    low, high = (share * bytes_per_s / model.decode_bytes for share in model.shares)
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
