"""``rnj-agent bench``: measure the runtime and the sandbox on this machine."""

from __future__ import annotations

import click

from rnj_agent.agent.cli.options import json_option, load_cli_config, sandbox_options
from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL


@click.group("bench")
def command() -> None:
    """Measure the runtime and the sandbox on this machine."""


@command.command("runtime")
@click.option(
    "-m", "--model", default=DEFAULT_BUNDLED_MODEL, show_default=True, metavar="NAME|PATH"
)
@click.option("--prompt-tokens", default=1024, show_default=True)
@click.option("--decode-tokens", default=32, show_default=True)
@click.option("--runs", default=3, show_default=True, help="Each figure is their median.")
@json_option
def runtime_command(
    model: str, prompt_tokens: int, decode_tokens: int, runs: int, as_json: bool
) -> None:
    """Measure loading, prefill, decode and the cached prefix of a model."""
    from rnj_agent.agent.cli.provision import ensure_model
    from rnj_agent.runtime.bench import runtime_bench

    path = ensure_model(model)
    options = runtime_bench.BenchOptions(
        num_prompt_tokens=prompt_tokens, num_decode_tokens=decode_tokens, num_runs=runs
    )
    result = runtime_bench.run(
        path, options=options, progress=lambda line: click.echo(line, err=True)
    )
    click.echo(runtime_bench.as_json(result) if as_json else runtime_bench.as_table(result))


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
