"""``rnj-agent swebench compare``: is one run better than another, or was it luck?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from rnj_agent.agent.cli.options import json_option

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command("compare")
@click.argument("first", type=_DIRECTORY, metavar="A")
@click.argument("second", type=_DIRECTORY, metavar="B")
@json_option
def command(first: Path, second: Path, as_json: bool) -> None:
    """Compare the runs in A and B, instance by instance, as Markdown on stdout.

    Counts what both, one and neither resolved, with McNemar's exact test and an interval of the
    difference; lists what only one resolved, and the settings that differ. Only instances that
    both have judged count.
    """
    from rnj_agent.agent.swebench.compare import compare
    from rnj_agent.agent.swebench.report.comparison import (
        comparison_as_json,
        comparison_to_markdown,
    )
    from rnj_agent.agent.swebench.report.report import read_report
    from rnj_agent.agent.swebench.status import require_run

    for directory in (first, second):
        require_run(directory)
    comparison = compare(read_report(first), read_report(second))
    if as_json:
        click.echo(json.dumps(comparison_as_json(comparison)))
    else:
        click.echo(comparison_to_markdown(comparison), nl=False)
