"""``rnj-agent bench runtime``: how fast a model runs here, and what that is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rnj_agent.agent.cli.bench.output import FILE, stopwatch, write_results
from rnj_agent.agent.cli.bench.synthetic import (
    KV_DTYPES,
    QUANTS,
    SHAPES,
    SYNTHETIC_GROUPS,
    SyntheticRequest,
    run_synthetic,
)
from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL

if TYPE_CHECKING:
    from rnj_agent.runtime.bench.plan import Plan

_GROUPS: Final = ("load", "prefill", "ttft", "decode", "batch", "memory", "bandwidth")
"""As in the runtime, whose import would make ``--help`` slow; a test compares them."""
_SYNTHETIC_ONLY: Final = ("num_layers", "device", "quant", "against")


@click.command("runtime")
@click.argument("model", default=DEFAULT_BUNDLED_MODEL, metavar="[MODEL]")
@click.option("--quick", is_flag=True, help="Fewer and shorter measurements: a minute or two.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*_GROUPS, "speculation"]),
    help="Measure this alone; may be given several times.",
)
@click.option("--no-rival", is_flag=True, help="Do not measure llama.cpp beside it.")
@click.option("--json", "json_path", type=FILE, help="Write every run as JSON; - is stdout.")
@click.option("--plot", "plot_path", type=FILE, help="Draw it: FILE.png, .svg or .pdf.")
@click.option(
    "--synthetic",
    "shape",
    type=click.Choice(SHAPES),
    help="Measure random weights of this shape, made on the device: no download.",
)
@click.option("--layers", "num_layers", type=int, help="Of the synthetic model, only so many.")
@click.option("--device", help="Of the synthetic model.  [default: cuda where there is one]")
@click.option("--quant", type=click.Choice(QUANTS), help="Likewise.  [default: fp8 on a GPU]")
@click.option("--kv-dtype", type=click.Choice(KV_DTYPES), default="auto", help="Likewise.")
@click.option(
    "--against", type=click.Choice(["transformers"]), help="Beside the synthetic model, the same."
)
def runtime_command(model: str, *, shape: str | None, **settings: Any) -> None:
    """Measure how fast MODEL (a name or a path) runs on this machine.

    Loading, prefill, the first token with and without a cached prefix, decode, batches, memory, and
    what share of the memory's read bandwidth decoding reaches; beside llama.cpp on the same file
    where xllamacpp or llama-cpp-python is installed.

    With --synthetic: a random model of Rnj-1's shape instead, and what share its figures are of
    what the device was measured to do at best.

    The table goes to stdout, progress to stderr. Close other programs first.
    """
    json_path, plot_path = settings.pop("json_path"), settings.pop("plot_path")
    no_rival = settings.pop("no_rival")
    if shape is not None:
        _check_groups(settings["only"], SYNTHETIC_GROUPS)
        request = SyntheticRequest(shape=shape, **settings)
        run_synthetic(request, json_path=json_path, plot_path=plot_path)
        return
    _check_groups(settings["only"], _GROUPS)
    if settings["kv_dtype"] != "auto" or any(settings[name] for name in _SYNTHETIC_ONLY):
        raise click.UsageError(
            "--layers, --device, --quant, --kv-dtype and --against need --synthetic."
        )
    plan = _plan(settings["quick"], settings["only"])
    _measure_file(model, plan, no_rival=no_rival, json_path=json_path, plot_path=plot_path)


def _measure_file(
    model: str, plan: Plan, *, no_rival: bool, json_path: Path | None, plot_path: Path | None
) -> None:
    from rnj_agent.agent.cli.provision import ensure_model
    from rnj_agent.runtime.bench.plot import check_can_plot, write_plot
    from rnj_agent.runtime.machine import calm_worker_threads

    if plot_path is not None:
        check_can_plot()
    calm_worker_threads()
    path = ensure_model(model)

    from rnj_agent.runtime.bench import runtime_bench
    from rnj_agent.runtime.bench.report import as_json
    from rnj_agent.runtime.bench.table import as_table

    report = runtime_bench.run(path, plan=plan, progress=stopwatch(), with_rival=not no_rival)
    write_results(as_table(report), as_json(report), json_path)
    if plot_path is not None:
        write_plot(report, plot_path)
        click.echo(f"wrote {plot_path}", err=True)


def _check_groups(only: tuple[str, ...], known: tuple[str, ...]) -> None:
    for group in only:
        if group not in known:
            raise click.BadParameter(f"{group!r}: one of {', '.join(known)}", param_hint="--only")


def _plan(quick: bool, only: tuple[str, ...]) -> Plan:
    from rnj_agent.runtime.bench.cases import GROUPS
    from rnj_agent.runtime.bench.plan import full_plan, quick_plan

    groups = set(GROUPS).intersection(only or GROUPS)
    return (quick_plan if quick else full_plan)(groups)
