"""``rnj-agent bench``: measure the runtime, its numbers and the sandbox on this machine."""

from __future__ import annotations

import click

from rnj_agent.agent.cli.bench.numerics import numerics_command
from rnj_agent.agent.cli.bench.runtime import runtime_command
from rnj_agent.agent.cli.options import json_option, load_cli_config, sandbox_options


@click.group("bench")
def command() -> None:
    """Measure the runtime, its numbers and the sandbox on this machine."""


command.add_command(runtime_command)
command.add_command(numerics_command)


@command.command("sandbox")
@sandbox_options
@json_option
def sandbox_command(as_json: bool) -> None:
    """Measure how long a sandbox takes to start, to run a command and to copy files."""
    import json
    from pathlib import Path

    from rnj_agent.agent.cli.bench.sandbox import measure
    from rnj_agent.agent.cli.interrupts import run_async

    figures = run_async(measure(load_cli_config(Path()).config))
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, figure in figures.items():
        shown = f"{figure:10.3f}" if isinstance(figure, float) else f"{figure:>10}"
        click.echo(f"{name:28}{shown}")
