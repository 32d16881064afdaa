"""``rnj-agent doctor``: what this machine can run, and what to do about what it cannot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rnj_agent.agent.cli.options import agent_options, json_option, load_cli_config, repo_option

if TYPE_CHECKING:
    from rnj_agent.agent.cli.doctor.check import Check
    from rnj_agent.agent.config_layers import LoadedConfig

_MARKS: Final = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "missing": ("FAIL", "red")}


@click.command("doctor")
@repo_option
@agent_options
@json_option
def command(repo: Path, as_json: bool) -> int:
    """Say what this machine can run, and what to do about what it cannot.

    Exits with 4 where no sandbox works, else with 0: what is only slower or not there yet is told,
    and is no failure.
    """
    num_missing: dict[str, int] = {}
    for check in _checks(repo):
        _show(check, as_json=as_json)
        if check.status == "missing":
            num_missing[check.name] = num_missing.get(check.name, 0) + 1
    return 4 if "sandbox" in num_missing else 0


def _checks(repo: Path) -> Iterator[Check]:
    from rnj_agent.agent.cli.doctor import (
        expectation,
        kernels,
        machine,
        profile,
        sandboxes,
        servers,
    )
    from rnj_agent.runtime.home import rnj_home
    from rnj_agent.sandbox.probe import probe

    loaded = load_cli_config(repo)
    groups: list[Callable[[], Iterable[Check]]] = [
        lambda: [machine.check_python(), machine.check_processor(), machine.check_memory()],
        kernels.check_kernels,
        lambda: [machine.check_disk(rnj_home()), machine.check_git(), machine.check_gpu()],
        expectation.check_expectation,
        lambda: sandboxes.check_sandboxes(loaded.config, probe()),
        lambda: [servers.check_model(loaded.config), profile.check_profile(loaded.config)],
        servers.check_models_present,
        servers.check_servers,
        lambda: _check_config(loaded),
    ]
    for group in groups:
        yield from group()


def _check_config(loaded: LoadedConfig) -> list[Check]:
    from rnj_agent.agent.cli.doctor.check import Check
    from rnj_agent.agent.config_files import user_config_file

    if not loaded.files:
        detail = f"defaults (your own would be {user_config_file()})"
        return [Check(name="config", status="ok", detail=detail)]
    return [Check(name="config", status="ok", detail=str(path)) for path in loaded.files]


def _show(check: Check, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(check)))
        return
    mark, colour = _MARKS[check.status]
    click.echo(f"{click.style(f'{mark:4}', fg=colour)}  {check.name:12}  {check.detail}")
    if check.hint:
        click.echo(f"{'':20}next: {check.hint}")
