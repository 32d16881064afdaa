"""The options of ``swebench run``: which instances, and how they are attempted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rnj_agent.agent.swebench.selection import Selection

_Command = TypeVar("_Command", bound=Callable[..., Any])


def selection_options(command: _Command) -> _Command:
    """``split``, ``ids``, ``filter_``, ``slice_``, ``shuffle``, ``shuffle_seed`` and ``limit``."""
    for option in (
        click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N of them."),
        click.option("--shuffle-seed", type=int, default=42, show_default=True),
        click.option("--shuffle", is_flag=True, help="In random order, the same for one seed."),
        click.option(
            "--slice", "slice_", default="", metavar="A:B", help="A slice, as Python has it."
        ),
        click.option(
            "--filter",
            "filter_",
            default="",
            metavar="REGEX",
            help="Only ids that it matches from their start.",
        ),
        click.option(
            "--ids", default="", metavar="ID,ID", help="Only these, or those of the lines of @FILE."
        ),
        click.option("--split", default="", help="Of a data set of the hub.  [default: test]"),
    ):
        command = option(command)
    return command


def selection(given: dict[str, Any]) -> Selection:
    """Takes the options out of what was given, but for the split."""
    from rnj_agent.agent.swebench.selection import Selection

    return Selection(
        ids=_ids(given.pop("ids")),
        filter=given.pop("filter_"),
        slice=given.pop("slice_"),
        shuffle=given.pop("shuffle"),
        seed=given.pop("shuffle_seed"),
        limit=given.pop("limit"),
    )


def _ids(text: str) -> tuple[str, ...]:
    if text.startswith("@"):
        with click.open_file(text[1:], encoding="utf-8") as lines:
            text = lines.read().replace("\n", ",")
    return tuple(name.strip() for name in text.split(",") if name.strip())


def attempt_options(command: _Command) -> _Command:
    """``attempts``, ``tries``, ``retry``, ``test_cmd``, ``allow_changed`` and ``pause_limit``."""
    for option in (
        click.option(
            "--pause-limit",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="End, resumable, where the engine, the disk or the model's server is away for "
            "longer.  [default: wait]",
        ),
        click.option(
            "--allow-changed",
            is_flag=True,
            help="Go on in DIR though it was begun with something else; what is finished stays.",
        ),
        click.option(
            "--retry",
            multiple=True,
            type=click.Choice(["errors", "limits", "empty"]),
            help="Run finished ones again that ended so; may be repeated. Their files are kept as "
            "earlier-N.",
        ),
        click.option(
            "--test-cmd",
            default="",
            metavar="COMMAND",
            help="Of the repository's own tests (pytest -rA), to drop attempts that break some.",
        ),
        click.option(
            "--tries",
            type=click.IntRange(1),
            default=3,
            show_default=True,
            help="Of an attempt that ends for a reason that is ours.",
        ),
        click.option(
            "--attempts",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="At each instance; one is chosen, all are kept.",
        ),
    ):
        command = option(command)
    return command
