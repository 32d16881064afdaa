"""``rnj-agent swebench run``: the model over many instances, none lost, none done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rnj_agent.agent.cli.options import limit_options, load_cli_config, model_options
from rnj_agent.agent.cli.swebench.cluster_options import cluster_options, on_cluster
from rnj_agent.agent.cli.swebench.image_options import image_options, image_settings
from rnj_agent.agent.cli.swebench.prices import price_options, prices
from rnj_agent.agent.cli.swebench.run_options import (
    attempt_options,
    selection,
    selection_options,
)

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.swebench.run_request import RunRequest

_IMAGE: Final = ("image", "build", "build_from", "repo_mirror", "build_overrides")
_PRICES: Final = ("price_in", "price_out", "price_cached")


@click.command("run")
@click.argument("source", default="verified")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The run directory. If it holds the same run, that goes on.",
)
@click.option("-w", "--workers", type=click.IntRange(1), default=4, show_default=True)
@selection_options
@image_options
@attempt_options
@model_options
@limit_options
@price_options
@cluster_options
def command(
    source: str, output: Path, workers: int, pause_limit: float | None, **given: Any
) -> int:
    """Let the model work on SWE-bench instances, each in its own container without network.

    SOURCE: verified, lite, full, multilingual, owner/name of the hub, or a .jsonl, .json or
    .parquet file.

    Kill it at any time and type the same command again: what is finished is kept, what was under
    way is done anew. Errors that are ours (an engine that restarts, a full disk, a model server
    that is away) are waited out.

    stdout: one line of JSON. Exit codes: 0 every selected instance has a final status (submitted, a
    limit, format_errors, loop, context_full) · 3 some have none (model_error, sandbox_error,
    image_error, internal_error; or --pause-limit was reached): --retry errors runs them again ·
    2 usage, another runner, or another run in DIR · 4 no Docker engine · 5 no model ·
    130 interrupted; can be resumed.
    """
    from rich.console import Console

    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.provision import provide_model
    from rnj_agent.agent.swebench.batch import Batch

    where = on_cluster(given)
    priced = prices(**{name: given.pop(name) for name in _PRICES})
    request = _request(source, output, given)
    provide_model(request.config)
    batch = Batch(
        request=request,
        num_workers=workers,
        pause_limit_s=pause_limit,
        prices=priced,
        console=Console(stderr=True, highlight=False),
        on_cluster=where,
    )
    summary = run_async(batch.run())
    click.echo(json.dumps(summary.as_json()))
    return summary.exit_code


def _config() -> tuple[Config, frozenset[str]]:
    """Of this folder and command line, with the limits that nobody set.

    The benchmark has its own step limit where neither the person nor a profile sets one.
    """
    from rnj_agent.agent.swebench.run_request import DEFAULT_STEPS

    loaded = load_cli_config(Path())
    config = loaded.config
    names = frozenset(type(config.limits).model_fields)
    unset = frozenset(name for name in names if f"limits.{name}" not in loaded.origins)
    if "steps" not in unset:
        return config, unset
    limits = config.limits.model_copy(update={"steps": DEFAULT_STEPS})
    return config.model_copy(update={"limits": limits}), unset


def _request(source: str, output: Path, given: dict[str, Any]) -> RunRequest:
    from rnj_agent.agent.swebench.attempt_spec import ImageSettings
    from rnj_agent.agent.swebench.dataset import load_instances
    from rnj_agent.agent.swebench.run_request import RunRequest

    config, unset = _config()
    images = image_settings(**{name: given.pop(name) for name in _IMAGE}) or ImageSettings()
    chosen = selection(given)
    data = load_instances(
        source, split=given.pop("split"), progress=lambda line: click.echo(line, err=True)
    )
    return RunRequest(
        root=output,
        instances=chosen.apply(data.instances),
        source=data.source,
        source_sha256=data.sha256,
        config=config,
        open_limits=unset,
        images=images,
        num_attempts=given.pop("attempts"),
        num_tries=given.pop("tries"),
        test_command=given.pop("test_cmd"),
        retry=frozenset(given.pop("retry")),
        allow_changed=given.pop("allow_changed"),
    )
