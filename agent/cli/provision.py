"""Get the model that a command needs: found on this machine, or fetched after saying so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.runtime.catalogue import CatalogueEntry

_GIGABYTE: Final = 1e9
_LARGE_BYTES: Final = 4e9
"""Above this nothing is fetched by the way: it has to be asked for by ``model pull``."""


def provide_model(config: Config) -> None:
    """Make sure that the bundled runtime has what it is to serve; other endpoints have their own.

    The sandbox is looked for first where something large would be fetched: without one the model
    would be of no use.

    Raises:
        RnjRuntimeError: no such model, or it cannot be fetched.
        SandboxUnavailableError: this machine has no sandbox.
    """
    from rnj_agent.agent.assembly import bundled_model_name, open_sandbox
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.terminal import say
    from rnj_agent.agent.endpoint import resolve_endpoint

    if not resolve_endpoint(config).is_bundled:
        return
    name = bundled_model_name(config)
    if _is_missing(name):
        run_async(open_sandbox(config, session_id="", say=say))
    ensure_model(name)


def ensure_model(name: str) -> Path:
    """The model's file or folder, fetched first if it is in the catalogue and not too large.

    Raises:
        RnjRuntimeError: no such model, it cannot be fetched, or it is not fetched by the way.
    """
    from rnj_agent.runtime.catalogue import CATALOGUE
    from rnj_agent.runtime.hub import resolve

    if _is_missing(name) and CATALOGUE[name].size_bytes <= _LARGE_BYTES:
        fetch(CATALOGUE[name])
    return resolve(name)


def fetch(entry: CatalogueEntry) -> Path:
    """Fetch with a progress bar on stderr, after saying how much and where to.

    Raises:
        DownloadError: what has arrived is kept for the next try.
    """
    from rnj_agent.agent.cli.fetch_progress import FetchProgress
    from rnj_agent.runtime.home import rnj_home
    from rnj_agent.runtime.hub import pull

    size_gb = entry.size_bytes / _GIGABYTE
    target = rnj_home() / "models" / entry.name
    click.echo(f"Fetching {entry.name} ({size_gb:.1f} GB, {entry.license}) to {target}", err=True)
    if entry.notice:
        click.echo(entry.notice, err=True)
    with FetchProgress() as progress:
        return pull(entry.name, progress)


def _is_missing(name: str) -> bool:
    from rnj_agent.runtime.catalogue import CATALOGUE
    from rnj_agent.runtime.hub import info

    return name in CATALOGUE and info(name).path is None
