"""``rnj-agent swebench evaluate``: whether predictions solve their instances."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rnj_agent.agent.cli.swebench.image_options import image_options, image_settings

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.swebench.evaluation.evaluate import Judged
    from rnj_agent.agent.swebench.evaluation.request import EvaluationRequest
    from rnj_agent.agent.swebench.results import Evaluation

_MAX_WORKERS: Final = 8
_TIMEOUT_S: Final = 1800
_WITHOUT_VERDICT: Final = 3
_COLOURS: Final = {"resolved": "green", "infra_failure": "red"}


@click.command("evaluate")
@click.argument("predictions", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--gold", is_flag=True, help="Judge the gold patches, instead of predictions.")
@click.option(
    "--data",
    default="",
    metavar="SOURCE",
    help="verified, lite, full, multilingual, owner/name of the hub, or a file.  "
    "[default: the run's]",
)
@click.option("--split", default="", help="Of a data set of the hub.  [default: test]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where verdicts and logs go.  [default: the run directory]",
)
@click.option(
    "--judge",
    type=click.Choice(["local", "official"]),
    default="local",
    show_default=True,
    help="Ours, in our sandbox; or the swebench package's harness on the same images.",
)
@click.option("-w", "--workers", type=click.IntRange(min=1), help="Instances judged at once.")
@click.option(
    "-t",
    "--timeout",
    "timeout_s",
    type=click.IntRange(min=1),
    default=_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="Of one instance's tests.",
)
@click.option("-i", "--ids", multiple=True, metavar="ID", help="Only this; may be repeated.")
@click.option("--redo", is_flag=True, help="Judge again what has a verdict.")
@click.option(
    "--network/--no-network",
    default=None,
    help="Whether tests reach the network, with our judge.  [default: no]",
)
@image_options
def command(network: bool | None, workers: int | None, gold: bool, **options: Any) -> int:
    """Judge PREDICTIONS: the directory of a run, or a .json or .jsonl file.

    Each patch is applied to a fresh copy of its repository, the tests of the gold pull request are
    put in, and what failed before must pass, what passed must pass still. A verdict is kept as
    soon as it is there, and stands while the patch is the same.

    One JSON line on stdout sums up. Exit code 0: every patch has a verdict; 3: some have none,
    since an image, the engine or a test script failed; the same command tries those again.
    """
    from rnj_agent.agent.cli.options import load_cli_config
    from rnj_agent.agent.swebench.evaluation.request import EvaluationRequest

    if gold == (options["predictions"] is not None):
        raise click.UsageError("one of PREDICTIONS and --gold, please.")
    names = ("image", "build", "build_from", "repo_mirror", "build_overrides")
    images = image_settings(**{name: options.pop(name) for name in names})
    num_workers = workers or min(_MAX_WORKERS, os.cpu_count() or 1)
    config = load_cli_config(Path()).config
    if network is not None:
        sandbox = config.sandbox.model_copy(update={"network": network})
        config = config.model_copy(update={"sandbox": sandbox})
    return _evaluate(EvaluationRequest(images=images, num_workers=num_workers, **options), config)


def _evaluate(request: EvaluationRequest, config: Config) -> int:
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.terminal import say
    from rnj_agent.agent.swebench.evaluation.evaluate import evaluate

    run_dir = request.run_dir
    cases = request.cases(lambda line: click.echo(line, err=True))
    progress = _Progress(len(cases))
    judged = run_async(
        evaluate(
            cases,
            request.open_judge(config, say),
            name=request.judge,
            run_dir=run_dir,
            redo=request.redo,
            on_verdict=progress.tell,
        )
    )
    for name in judged.differing:
        click.echo(f"warning: the other judge had another verdict on {name}", err=True)
    click.echo(json.dumps(_summary(request, judged)))
    without = any(found.status == "infra_failure" for found in judged.evaluations)
    return _WITHOUT_VERDICT if without else 0


class _Progress:
    """One line a verdict, on stderr."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._num_done = 0

    def tell(self, found: Evaluation) -> None:
        self._num_done += 1
        place = f"{self._num_done:{len(str(self._total))}}/{self._total}"
        status = click.style(f"{found.status:13}", fg=_COLOURS.get(found.status))
        took = f"{found.duration_s:6.1f} s"
        click.echo(f"{place}  {status}  {took}  {found.instance_id}: {found.detail}", err=True)


def _summary(request: EvaluationRequest, judged: Judged) -> dict[str, object]:
    ids: dict[str, list[str]] = {}
    for found in judged.evaluations:
        ids.setdefault(found.status, []).append(found.instance_id)
    statuses = Counter(found.status for found in judged.evaluations)
    return {
        "kind": "swebench_evaluation",
        "directory": str(request.run_dir.root),
        "judge": request.judge,
        "judged": len(judged.evaluations),
        "kept": judged.num_kept,
        "resolved": statuses["resolved"],
        "statuses": dict(statuses),
        "ids": ids,
        "differing": list(judged.differing),
    }
