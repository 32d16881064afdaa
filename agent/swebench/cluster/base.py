"""What the executor needs of a cluster: its nodes, and a crew on each of them.

``agent.swebench.cluster.ray_cluster`` is the one that ships.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import InFlight
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec, ImageSettings
from rnj_agent.agent.swebench.cluster.nodes import Node
from rnj_agent.agent.swebench.results import AttemptResult


class CrewLostError(Exception):
    """The process or the node of a crew is gone, with what was under way there."""


class CrewNotOpenError(CrewLostError):
    """It was gone before it had begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewOrder:
    """What a crew is hired for."""

    run_id: str
    config: Config
    images: ImageSettings
    pause_limit_s: float | None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that the configuration names, such as the one with the model server's key; those
    that the node has itself come first."""
    num_slots: int = 1
    """Attempts at once."""
    spared: frozenset[str] = frozenset()
    """Sessions that are under way elsewhere: nodes may share an engine."""
    hired_s: float = 0.0
    """Unix time. What the run has in the node's engine since before is a dead runner's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    result: AttemptResult
    files: tuple[tuple[str, int], ...]
    """Name and bytes of each file that is to be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a crew has to tell since it was asked last."""

    notices: tuple[Notice, ...]
    in_flight: tuple[InFlight, ...]


class Crew(Protocol):
    """On one node. Each method raises CrewLostError, and RnjError or SandboxError from there."""

    async def open(self) -> str:
        """Begin: rnj-agent's version there.

        Raises:
            SandboxUnavailableError: the node has no Docker engine.
            RnjError: the model or the image settings cannot be used there.
        """
        ...

    async def attempt(self, spec: AttemptSpec) -> Outcome:
        """Run it. Cancelled, it ends there in order.

        Raises:
            PauseLimitError: something that all attempts need has been away for too long.
        """
        ...

    async def read(self, spec: AttemptSpec, name: str, offset: int, size: int) -> bytes: ...

    async def forget(self, spec: AttemptSpec) -> None:
        """Remove the attempt's files there."""
        ...

    async def news(self) -> News: ...

    async def close(self, spared: frozenset[str]) -> None:
        """End it in order: no container of the run stays on the node, but for sessions that are
        under way elsewhere. Never raises.
        """
        ...


class Cluster(Protocol):
    def nodes(self) -> Sequence[Node]:
        """Those that are alive."""
        ...

    def hire(self, node: Node, order: CrewOrder) -> Crew:
        """A crew on a node, as soon as the node has room for it."""
        ...
