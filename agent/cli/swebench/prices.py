"""The options that say what tokens cost, for commands that show a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rnj_agent.agent.swebench.status import Prices

_Command = TypeVar("_Command", bound=Callable[..., Any])

_PRICE = click.FloatRange(min=0)


def price_options(command: _Command) -> _Command:
    """``price_in``, ``price_out`` and ``price_cached``."""
    for option in (
        click.option(
            "--price-cached", type=_PRICE, metavar="USD", help="Of cached prompt tokens, likewise."
        ),
        click.option(
            "--price-out", type=_PRICE, metavar="USD", help="Of a million written tokens."
        ),
        click.option("--price-in", type=_PRICE, metavar="USD", help="Of a million prompt tokens."),
    ):
        command = option(command)
    return command


def prices(
    price_in: float | None, price_out: float | None, price_cached: float | None
) -> Prices | None:
    """None where neither is given; one alone makes the other free."""
    from rnj_agent.agent.swebench.status import Prices

    if price_in is None and price_out is None:
        return None
    return Prices(prompt=price_in or 0.0, completion=price_out or 0.0, cached=price_cached)
