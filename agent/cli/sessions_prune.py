"""``rnj-agent sessions prune``: give back the room that old sessions' files take."""

from __future__ import annotations

import click

_DAY_S = 24 * 3600.0
_GIB = 1024**3


@click.command("prune", short_help="Remove the saved files of old sessions.")
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Of sessions in which nothing has happened for so long.",
)
@click.option(
    "--gib",
    type=click.FloatRange(min=0),
    default=2,
    show_default=True,
    help="Then of the oldest, until all take no more than this.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_command(days: float, gib: float, dry_run: bool) -> None:
    """Remove the files that old sessions keep so that undo and resume find them. What was said and
    done stays, and is still listed, shown and exported. A session that goes on without its files
    begins with the repository as it is, and makes its changes again where they fit.

    The app does the same, with these bounds, for each session that it begins.
    """
    from rnj_agent.agent.live.pruning import prune_files
    from rnj_agent.agent.wording import counted

    pruned = prune_files(max_age_s=days * _DAY_S, max_bytes=int(gib * _GIB), is_dry=dry_run)
    for saved in pruned:
        click.echo(f"{saved.directory.name}  {saved.num_bytes / 1024**2:,.1f} MiB")
    total_mib = sum(saved.num_bytes for saved in pruned) / 1024**2
    verb = "would remove" if dry_run else "removed"
    click.echo(f"{verb} the files of {counted(len(pruned), 'session')}, {total_mib:,.1f} MiB")
