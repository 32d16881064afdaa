"""Where a benchmark's results go: the table to stdout, JSON and picture to files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

FILE: Final = click.Path(path_type=Path, dir_okay=False, writable=True, allow_dash=True)


def write_results(table: str, as_json: str, json_path: Path | None) -> None:
    """The table first: a file that cannot be written must not hide what was measured."""
    if str(json_path) == "-":
        click.echo(as_json)
        return
    click.echo(table)
    if json_path is not None:
        json_path.write_text(as_json + "\n", encoding="utf-8")
        click.echo(f"wrote {json_path}", err=True)


def stopwatch() -> Callable[[str], None]:
    """Says on stderr what is being done, and when it began."""
    begun = time.monotonic()
    return lambda line: click.echo(f"[{time.monotonic() - begun:4.0f} s] {line}", err=True)
