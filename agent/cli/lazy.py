"""A click group that imports a subcommand's module only when that subcommand runs.

Listing the commands imports none of them, which keeps ``--help`` instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click


class LazyCommand(NamedTuple):
    name: str
    """Also the module's name; the module's ``command`` is the click command."""
    short_help: str


class LazyGroup(click.Group):
    def __init__(
        self, *args: Any, commands_table: Sequence[LazyCommand], package: str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._table = {entry.name: entry for entry in commands_table}
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the table's order: what people need first comes first."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        return import_module(f"{self._package}.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.short_help) for entry in self._table.values()])
