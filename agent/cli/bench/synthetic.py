"""``rnj-agent bench runtime --synthetic``: what this device does with a model of Rnj-1's shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rnj_agent.agent.cli.bench.output import stopwatch, write_results

if TYPE_CHECKING:
    from rnj_agent.runtime.bench.synthetic.bench import BenchOptions
    from rnj_agent.runtime.bench.synthetic.plan import SyntheticPlan

SHAPES: Final = ("rnj-1", "rnj-1-tiny")
QUANTS: Final = ("bf16", "fp8", "int8", "int4")
KV_DTYPES: Final = ("auto", "bf16", "fp8", "int8")
"""As in the runtime, whose import would make ``--help`` slow; a test compares them."""
SYNTHETIC_GROUPS: Final = ("load", "prefill", "ttft", "decode", "speculation", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticRequest:
    """The command line; ``None`` chooses by the device."""

    shape: str
    num_layers: int | None
    device: str | None
    quant: str | None
    kv_dtype: str
    against: str | None
    quick: bool
    only: tuple[str, ...]


def run_synthetic(
    request: SyntheticRequest, *, json_path: Path | None, plot_path: Path | None
) -> None:
    """Measure, and write what was asked for.

    Raises:
        RnjRuntimeError: the model does not fit, a package is missing, or the engine failed.
    """
    from rnj_agent.runtime.bench.plot import check_can_plot
    from rnj_agent.runtime.bench.synthetic.rival import check_has_transformers
    from rnj_agent.runtime.machine import calm_worker_threads

    if plot_path is not None:
        check_can_plot()
    if request.against is not None:
        check_has_transformers()
    calm_worker_threads()

    from rnj_agent.runtime.bench.synthetic import bench
    from rnj_agent.runtime.bench.synthetic.plot import write_plot
    from rnj_agent.runtime.bench.synthetic.report import as_json, as_table

    report = bench.run(bench_options(request), progress=stopwatch())
    write_results(as_table(report), as_json(report), json_path)
    if plot_path is not None:
        write_plot(report, plot_path)
        click.echo(f"wrote {plot_path}", err=True)


def bench_options(request: SyntheticRequest) -> BenchOptions:
    """FP8 on GPUs, bf16 elsewhere, unless it is said."""
    from rnj_agent.runtime.bench.synthetic.bench import BenchOptions
    from rnj_agent.runtime.bench.synthetic.subject import SubjectOptions
    from rnj_agent.runtime.models.loading import default_device

    device = request.device or default_device()
    is_gpu = device.startswith("cuda")
    quant = request.quant or ("fp8" if is_gpu else "bf16")
    plan = _plan(request, is_gpu=is_gpu)
    subject: Any = SubjectOptions(
        device=device,
        quant="none" if quant == "bf16" else quant,  # pyright: ignore[reportArgumentType] - likewise
        kv_dtype=request.kv_dtype,  # pyright: ignore[reportArgumentType] - click has checked it
        max_num_seqs=max(plan.batch_sizes),
    )
    return BenchOptions(
        shape=request.shape,
        num_layers=request.num_layers,
        subject=subject,
        plan=plan,
        against="transformers" if request.against else None,
    )


def _plan(request: SyntheticRequest, *, is_gpu: bool) -> SyntheticPlan:
    from rnj_agent.runtime.bench.synthetic.figure import GROUPS
    from rnj_agent.runtime.bench.synthetic.plan import CPU, CPU_QUICK, QUICK, TINY, SyntheticPlan

    plan, quick = (SyntheticPlan(), QUICK) if is_gpu else (CPU, CPU_QUICK)
    if request.shape == "rnj-1-tiny":
        plan = TINY
    elif request.quick:
        plan = quick
    return replace(plan, only=frozenset(set(GROUPS).intersection(request.only or GROUPS)))
