"""Where ``swebench run`` runs its attempts: here, or on a Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from rnj_agent.agent.swebench.cluster.opening import OnCluster

_Command = TypeVar("_Command", bound=Callable[..., Any])


def cluster_options(command: _Command) -> _Command:
    """What ``on_cluster`` reads."""
    for option in (
        click.option(
            "--ray-max-per-node",
            type=click.IntRange(1),
            metavar="N",
            help="No more attempts than this at once on a node.  [default: what its CPUs take]",
        ),
        click.option(
            "--cpus-per-task",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="CPUs of its node that an attempt holds.",
        ),
        click.option(
            "--ray-resources",
            default="{}",
            metavar="JSON",
            help="Named resources of its node that an attempt holds, such as "
            """'{"node_with_images": 1}'.""",
        ),
        click.option(
            "--ray-address",
            default="auto",
            show_default=True,
            metavar="HOST:PORT",
            help="Of the cluster; auto: the one of this machine; local: one of its own.",
        ),
        click.option(
            "--executor",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Where attempts run; docs/swebench-cluster.md tells how to set a cluster up.",
        ),
    ):
        command = option(command)
    return command


def on_cluster(given: dict[str, Any]) -> OnCluster | None:
    """Takes the options out of what was given; None: everything runs here."""
    from rnj_agent.agent.swebench.cluster.nodes import Demand
    from rnj_agent.agent.swebench.cluster.opening import OnCluster

    resources = _resources(given.pop("ray_resources"))
    demand = Demand(
        num_cpus=given.pop("cpus_per_task"),
        resources=resources,
        max_per_node=given.pop("ray_max_per_node"),
    )
    address = given.pop("ray_address")
    if given.pop("executor") == "local":
        return None
    return OnCluster(address=address, demand=demand)


def _resources(text: str) -> dict[str, float]:
    try:
        value: object = json.loads(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text!r} is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise click.BadParameter(f"{text!r} is no object of names and amounts")
    amounts = cast(dict[str, object], value)
    for name, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount <= 0:
            raise click.BadParameter(f"of {name!r} an attempt holds {amount!r}: not above 0")
    return cast(dict[str, float], amounts)
