"""Measures how the products of few rows run best on this card, and sets their plans.

For each shape of weight that a model has: first one row, among ``alternatives``; then as many as a
skinny product takes, among what sums in the same order; then whether torch's product or quantising
on the way is faster. All weights of a shape are used in turn, as a decode step uses them, so that
none is read from a cache.

Not covered: CUDA graphs that were captured before, which keep the plans that they were made with.

N output features, K input features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeAlias

import torch

from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.fp8_plan import (
    MAX_SKINNY_ROWS,
    NARROW_ROWS,
    Fp8Plan,
    SkinnyConfig,
    alternatives,
    wide_alternatives,
)

Timer: TypeAlias = Callable[[Callable[[], None]], float]
"""Seconds that some work takes."""
CLEARLY_FASTER = 0.95
"""Of the other's time: below, two ways are told apart from noise."""
NUM_REPLAYS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedShape:
    """What was found for the weights of one shape."""

    shape: tuple[int, int]
    """N, K."""
    num_weights: int
    plan: Fp8Plan
    default_s: float
    """One row through all of them, by the default plan."""
    tuned_s: float


def tune(linears: Iterable[Fp8Linear], *, timer: Timer | None = None) -> list[TunedShape]:
    """Replace the plans of W8A8 layers by the fastest.

    Args:
        linears: of a model, on one CUDA device.
        timer: None: ``replay_time_s``.
    """
    groups: dict[tuple[int, int], list[Fp8Linear]] = {}
    for linear in linears:
        if linear.quantize_activations:
            num_features, num_columns = linear.weight.shape
            groups.setdefault((num_features, num_columns), []).append(linear)
    return [_Tuning(group, timer or replay_time_s).run() for group in groups.values()]


def replay_time_s(work: Callable[[], None]) -> float:
    """Median of a CUDA graph's replays: what the work takes without being started by Python.

    Raises:
        RuntimeError: it does not run on this card.
    """
    work()  # compiles
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    graph.replay()
    times_s: list[float] = []
    for _ in range(NUM_REPLAYS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times_s.append(start.elapsed_time(end) / 1000)
    return median(times_s)


class _Tuning:
    """Of the weights of one shape."""

    def __init__(self, linears: Sequence[Fp8Linear], timer: Timer) -> None:
        self._linears = linears
        self._timer = timer

    def run(self) -> TunedShape:
        default = self._linears[0].plan
        default_s = self._time_s(default, 1)
        narrow = self._fastest(alternatives(default.narrow), 1, default.narrow)
        wide = self._fastest(wide_alternatives(narrow), MAX_SKINNY_ROWS, narrow)
        plan = replace(default, narrow=narrow, wide=wide)
        plan = replace(plan, skinny_rows=self._skinny_rows(plan))
        plan = replace(plan, fused_rows=self._fused_rows(plan))
        for linear in self._linears:
            linear.plan = plan
        num_features, num_columns = self._linears[0].weight.shape
        return TunedShape(
            shape=(num_features, num_columns),
            num_weights=len(self._linears),
            plan=plan,
            default_s=default_s,
            tuned_s=self._time_s(plan, 1),
        )

    def _fastest(
        self, configs: Iterable[SkinnyConfig], num_rows: int, default: SkinnyConfig
    ) -> SkinnyConfig:
        """The default where none runs."""
        times_s = {
            config: self._time_s(Fp8Plan(narrow=config, wide=config), num_rows)
            for config in dict.fromkeys((default, *configs))
        }
        return min(times_s, key=times_s.__getitem__)

    def _skinny_rows(self, plan: Fp8Plan) -> int:
        """Torch's product must be clearly faster to cost rows their independence."""
        torch_s = self._time_s(replace(plan, skinny_rows=0), MAX_SKINNY_ROWS)
        ours_s = self._time_s(plan, MAX_SKINNY_ROWS)
        return MAX_SKINNY_ROWS if torch_s > ours_s * CLEARLY_FASTER else NARROW_ROWS

    def _fused_rows(self, plan: Fp8Plan) -> int:
        """The most rows that are better quantised on the way."""
        num_fused = 0
        for num_rows in (1, 2, 4, 8):
            fused_s = self._time_s(replace(plan, fused_rows=num_rows), num_rows)
            if fused_s > self._time_s(replace(plan, fused_rows=0), num_rows) * CLEARLY_FASTER:
                break
            num_fused = num_rows
        return num_fused

    def _time_s(self, plan: Fp8Plan, num_rows: int) -> float:
        """Of 16-bit rows through all weights; infinite where the card cannot."""
        first = self._linears[0].weight
        x = torch.randn(num_rows, first.shape[1], dtype=torch.bfloat16, device=first.device)

        def work() -> None:
            for linear in self._linears:
                linear.plan = plan
                linear(x)

        try:
            return self._timer(work)
        except RuntimeError:
            return float("inf")
