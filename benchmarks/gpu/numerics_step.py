"""FP8 on the card's own kernels against bf16 and fp32, at Rnj-1's shape, on random weights."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.numerics.report import as_table
from rnj_agent.runtime.numerics.run import NumericsOptions, run

NUM_TOKENS = 512


def numerics(recorder: StepRecorder, place: Workplace) -> None:
    make = partial(SyntheticCheckpoint, place.shape, recites=False)
    num_tokens = 140 if place.dry_run else NUM_TOKENS
    ids = SyntheticText(make()).prompt(num_tokens, salt=0)
    report = run(
        make,
        ids,
        options=NumericsOptions(device=place.device),
        text=f"{num_tokens} random tokens",
        progress=say,
    )
    print(as_table(report), flush=True)
    recorder.keep("comparisons", [asdict(comparison) for comparison in report.comparisons])
    for comparison in report.comparisons:
        name = f"{comparison.subject} against {comparison.reference}"
        worst = max(max(layer.projections.values()) for layer in comparison.layers)
        last = comparison.layers[-1].residual
        drift = comparison.drift
        recorder.value(f"{name}: KL mean", drift.mean_kl, "nats", detail=f"p99 {drift.p99_kl:.4g}")
        recorder.value(f"{name}: top-1 agreement", 100 * drift.top1_agreement, "%")
        recorder.value(f"{name}: worst projection", 100 * worst, "%")
        recorder.value(f"{name}: residual after the last layer", 100 * last, "%")
