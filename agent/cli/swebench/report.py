"""``rnj-agent swebench report``: a run as a page and as a table."""

from __future__ import annotations

from pathlib import Path

import click

from rnj_agent.agent.cli.swebench.prices import price_options, prices

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("report")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--html", type=_FILE, metavar="FILE", help="The page.  [default: DIR/report.html]")
@click.option(
    "--markdown", type=_FILE, metavar="FILE", help="The tables.  [default: DIR/report.md]"
)
@price_options
def command(
    directory: Path,
    html: Path | None,
    markdown: Path | None,
    price_in: float | None,
    price_out: float | None,
    price_cached: float | None,
) -> None:
    """Write the run in DIR as one HTML page that needs no other file, and as Markdown.

    A run that still goes on is reported as far as it is. Trajectories too long for the page are
    shortened in it; it links to their files in DIR. Prints the paths of both files.
    """
    from rnj_agent.agent.swebench.report.markdown import to_markdown
    from rnj_agent.agent.swebench.report.page import write_page
    from rnj_agent.agent.swebench.report.report import read_report
    from rnj_agent.agent.swebench.run_dir import write_whole
    from rnj_agent.agent.swebench.status import require_run

    require_run(directory)
    report = read_report(directory, prices(price_in, price_out, price_cached))
    html, markdown = html or directory / "report.html", markdown or directory / "report.md"
    write_page(report, html)
    write_whole(markdown, to_markdown(report).encode("utf-8", "replace"))
    click.echo(html)
    click.echo(markdown)
