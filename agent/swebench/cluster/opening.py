"""From a cluster's address to an executor on it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rnj_agent.agent.config import Config
from rnj_agent.agent.endpoint import resolve_endpoint
from rnj_agent.agent.swebench.cluster.base import CrewOrder
from rnj_agent.agent.swebench.cluster.executor import ClusterExecutor
from rnj_agent.agent.swebench.cluster.nodes import Demand
from rnj_agent.agent.swebench.cluster.ray_cluster import connect
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.agent.swebench.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCluster:
    """Where attempts run, if not here."""

    address: str
    """Of the Ray cluster."""
    demand: Demand


@contextmanager
def open_cluster(
    where: OnCluster, order: CrewOrder, run: RunDir, workshop: Workshop, num_workers: int
) -> Generator[ClusterExecutor]:
    """Each crew sweeps its own node, so this machine needs no engine.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    order = replace(order, environment=_environment_of(order.config))
    with connect(where.address, where.demand) as cluster:
        yield ClusterExecutor(
            directory=run,
            cluster=cluster,
            order=order,
            demand=where.demand,
            num_workers=num_workers,
            pause=workshop.pause,
            board=workshop.board,
            say=workshop.say,
        )


def _environment_of(config: Config) -> dict[str, str]:
    """The variable with the model server's key, as it is here."""
    name = resolve_endpoint(config).api_key_env
    return {name: os.environ[name]} if name in os.environ else {}
