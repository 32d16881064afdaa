"""``rnj-agent bench runtime``: how fast a model runs here, and what that is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL

if TYPE_CHECKING:
    from rnj_agent.runtime.bench.plan import Plan
    from rnj_agent.runtime.bench.report import Report

_GROUPS: Final = ("load", "prefill", "ttft", "decode", "batch", "memory", "bandwidth")
"""As in the runtime, whose import would make ``--help`` slow; a test compares them."""
_FILE: Final = click.Path(path_type=Path, dir_okay=False, writable=True, allow_dash=True)


@click.command("runtime")
@click.argument("model", default=DEFAULT_BUNDLED_MODEL, metavar="[MODEL]")
@click.option("--quick", is_flag=True, help="Fewer and shorter measurements: a minute or two.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(_GROUPS),
    help="Measure this alone; may be given several times.",
)
@click.option("--no-rival", is_flag=True, help="Do not measure llama.cpp beside it.")
@click.option("--json", "json_path", type=_FILE, help="Write every run as JSON; - is stdout.")
@click.option("--plot", "plot_path", type=_FILE, help="Draw it: FILE.png, .svg or .pdf.")
def runtime_command(
    model: str,
    quick: bool,
    only: tuple[str, ...],
    no_rival: bool,
    json_path: Path | None,
    plot_path: Path | None,
) -> None:
    """Measure how fast MODEL (a name or a path) runs on this machine.

    Loading, prefill, the first token with and without a cached prefix, decode, batches, memory, and
    what share of the memory's read bandwidth decoding reaches; beside llama.cpp on the same file
    where xllamacpp or llama-cpp-python is installed.

    The table goes to stdout, progress to stderr. Close other programs first.
    """
    from rnj_agent.agent.cli.provision import ensure_model
    from rnj_agent.runtime.bench.plot import check_can_plot
    from rnj_agent.runtime.machine import calm_worker_threads

    if plot_path is not None:
        check_can_plot()
    calm_worker_threads()
    path = ensure_model(model)

    from rnj_agent.runtime.bench import runtime_bench

    report = runtime_bench.run(
        path, plan=_plan(quick, only), progress=_stopwatch(), with_rival=not no_rival
    )
    _write(report, json_path, plot_path)


def _plan(quick: bool, only: tuple[str, ...]) -> Plan:
    from rnj_agent.runtime.bench.cases import GROUPS
    from rnj_agent.runtime.bench.plan import full_plan, quick_plan

    groups = set(GROUPS).intersection(only or GROUPS)
    return (quick_plan if quick else full_plan)(groups)


def _write(report: Report, json_path: Path | None, plot_path: Path | None) -> None:
    """The table last: a file that cannot be written must not hide what was measured."""
    from rnj_agent.runtime.bench.plot import write_plot
    from rnj_agent.runtime.bench.report import as_json
    from rnj_agent.runtime.bench.table import as_table

    if str(json_path) == "-":
        click.echo(as_json(report))
    else:
        click.echo(as_table(report))
    if json_path is not None and str(json_path) != "-":
        json_path.write_text(as_json(report) + "\n", encoding="utf-8")
        click.echo(f"wrote {json_path}", err=True)
    if plot_path is not None:
        write_plot(report, plot_path)
        click.echo(f"wrote {plot_path}", err=True)


def _stopwatch() -> Callable[[str], None]:
    """Says on stderr what is being done, and when it began."""
    begun = time.monotonic()
    return lambda line: click.echo(f"[{time.monotonic() - begun:4.0f} s] {line}", err=True)
