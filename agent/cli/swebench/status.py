"""``rnj-agent swebench status``: how far a run is, and how well it does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnj_agent.agent.cli.options import json_option
from rnj_agent.agent.cli.swebench.prices import price_options, prices

if TYPE_CHECKING:
    from rnj_agent.agent.swebench.status import Prices, RunView

_TICK_S = 0.5


@click.command("status")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("-f", "--follow", is_flag=True, help="Stay until the run ends.")
@price_options
@json_option
def command(
    directory: Path,
    follow: bool,
    price_in: float | None,
    price_out: float | None,
    price_cached: float | None,
    as_json: bool,
) -> None:
    """Show how far the run in DIR is: finished, resolved, statuses, tokens, time to go.

    Works while it runs, in any other process, and afterwards. Only small records are read.
    """
    from rnj_agent.agent.swebench.status import RunReader, require_run

    require_run(directory)
    priced = prices(price_in, price_out, price_cached)
    if follow and not as_json:
        _follow(directory, priced)
        return
    view = RunReader(directory).read()
    if as_json:
        click.echo(json.dumps(_as_json(view, priced)))
        return
    from rich.console import Console

    from rnj_agent.agent.swebench.status_panel import draw_panel

    Console(highlight=False).print(draw_panel(view, priced))


def _follow(directory: Path, priced: Prices | None) -> None:
    from rich.console import Console

    from rnj_agent.agent.swebench.live_status import LiveStatus

    with LiveStatus(directory, Console(highlight=False), prices=priced) as live:
        while live.view.activity is not None:
            time.sleep(_TICK_S)
            live.tick()


def _as_json(view: RunView, priced: Prices | None) -> dict[str, object]:
    return {
        "directory": str(view.root),
        "model": view.model,
        "selected": view.num_selected,
        "finished": view.num_finished,
        "by_status": dict(view.by_status.most_common()),
        "evaluated": len(view.evaluations),
        "resolved": view.num_resolved,
        "prompt_tokens": view.num_prompt_tokens,
        "cached_tokens": view.num_cached_tokens,
        "completion_tokens": view.num_completion_tokens,
        "tokens_per_s": round(view.tokens_per_s, 3),
        "busy_s": round(view.busy_s, 3),
        "eta_s": view.eta_s,
        "cost_usd": view.cost(priced) if priced else None,
        "running": view.activity.model_dump() if view.activity else None,
    }
