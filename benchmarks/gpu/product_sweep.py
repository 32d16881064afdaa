"""FP8 products of few rows, for each shape of Rnj-1 and each way of cutting them into programs.

What is found best is for ``default_plan`` (``runtime/quant/fp8_plan.py``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.gpu.engine_steps import known_ceilings
from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from benchmarks.gpu.timing import num_copies, seconds_each
from rnj_agent.runtime.quant.fp8 import Fp8Weight, quantize_tokens
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.fp8_plan import Fp8Plan, SkinnyConfig, alternatives

SHAPES = {
    "gate_up": (32768, 4096),
    "down": (4096, 16384),
    "qkv": (6144, 4096),
    "o": (4096, 4096),
}
"""(N, K), those first that most bytes are read of."""
TINY_SHAPES = {"o": (64, 128)}
ROWS = (1, 8, 16, 32)
MANY_ROWS = (16, 32, 64, 128)
TINY_ROWS = (1, 16)
RESERVE_S = 15.0


def products(recorder: StepRecorder, place: Workplace) -> None:
    """First as it is by default, for all; then other ways, as long as there is time."""
    deadline = time.monotonic() + place.limit_s - RESERVE_S
    bandwidth = known_ceilings(place).read_bytes_per_s
    shapes = TINY_SHAPES if place.dry_run else SHAPES
    operands = {name: Operands(*shape, place) for name, shape in shapes.items()}
    for name, operand in operands.items():
        for rows in TINY_ROWS if place.dry_run else ROWS:
            rate = operand.bytes_per_s(operand.default, rows)
            recorder.value(
                f"{name}, {rows} rows, by default", rate / 1e9, "GB/s", share=rate / bandwidth
            )
        for rows in TINY_ROWS if place.dry_run else MANY_ROWS:
            rate = operand.bytes_per_s(None, rows)
            recorder.value(
                f"{name}, {rows} rows, _scaled_mm", rate / 1e9, "GB/s", share=rate / bandwidth
            )
    table: dict[str, list[dict[str, Any]]] = {}
    for name, operand in operands.items():
        table[name] = []
        for config in _configs(operand, place):
            if time.monotonic() > deadline:
                recorder.note(f"{name}: not all ways were tried, the time was over.")
                break
            table[name].append(_tried(operand, config, bandwidth))
            recorder.keep("ways", table)
        best = max(table[name], key=lambda way: way.get("share", 0.0), default=None)
        recorder.note(f"{name}: best of {len(table[name])} for one row: {best}")


class Operands:
    """Copies of a weight, so that none is read from a cache, and rows for it."""

    def __init__(self, num_features: int, num_columns: int, place: Workplace) -> None:
        self.device = torch.device(place.device)
        count = num_copies(num_features * num_columns, dry_run=place.dry_run)
        self.linears = [self._linear(num_features, num_columns) for _ in range(count)]
        self.default = self.linears[0].plan
        self._num_columns = num_columns

    def bytes_per_s(self, plan: Fp8Plan | None, num_rows: int) -> float:
        """Of the weight; ``None``: through torch's product."""
        chosen = plan or Fp8Plan(narrow=self.default.narrow, wide=self.default.wide, skinny_rows=0)
        x = torch.randn(num_rows, self._num_columns, dtype=torch.bfloat16, device=self.device)
        rows = quantize_tokens(x)

        def call(linear: Fp8Linear) -> torch.Tensor:
            weight = Fp8Weight(linear.weight, linear.weight_scale)
            return linear.kernels.product(rows, weight, None, chosen)

        calls = [lambda linear=linear: call(linear) for linear in self.linears]
        return self.linears[0].size_bytes / seconds_each(calls, self.device)

    def _linear(self, num_features: int, num_columns: int) -> Fp8Linear:
        weight = torch.randn(num_features, num_columns, device=self.device)
        rows = quantize_tokens(weight)
        return Fp8Linear(rows.data, rows.scale[:, 0])


def _configs(operand: Operands, place: Workplace) -> Iterator[SkinnyConfig]:
    ways = alternatives(operand.default.narrow)
    for number, config in enumerate(ways):
        if place.dry_run and number >= 2:
            return
        yield config


def _tried(operand: Operands, config: SkinnyConfig, bandwidth: float) -> dict[str, Any]:
    """A way that does not compile, or needs more than the card has, is a result, too."""
    way: dict[str, Any] = asdict(config)
    try:
        rate = operand.bytes_per_s(Fp8Plan(narrow=config, wide=config), 1)
    except (RuntimeError, ValueError) as exc:  # triton's OutOfResources is a RuntimeError
        way["error"] = str(exc).splitlines()[0][:200]
    else:
        way |= {"gb_per_s": rate / 1e9, "share": rate / bandwidth}
    say(str(way))
    return way
