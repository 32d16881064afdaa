"""Which nodes of a cluster take how many attempts at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_ROUNDING: Final = 1e-9
"""0.3 of a CPU is in 0.9 of one three times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one attempt holds of a node while it is under way: more than nothing of each."""

    num_cpus: float = 1.0
    resources: Mapping[str, float] = field(default_factory=dict[str, float])
    """Custom ones, by which nodes are told apart: such as those that have the images."""
    max_per_node: int | None = None
    """No more attempts than this at once on a node."""

    def __str__(self) -> str:
        named = {"CPU": self.num_cpus, **self.resources}
        return ", ".join(f"{name}: {amount:g}" for name, amount in named.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    id: str
    name: str
    """For people."""
    resources: Mapping[str, float]
    """In all, with ``CPU``: what others use of it is not taken off."""

    def num_slots(self, demand: Demand) -> int:
        """How many attempts it can take at once."""
        wanted = {"CPU": demand.num_cpus, **demand.resources}
        room = [
            math.floor(self.resources.get(name, 0.0) / amount + _ROUNDING)
            for name, amount in wanted.items()
        ]
        return min(room if demand.max_per_node is None else [*room, demand.max_per_node])


def share_out(
    nodes: Sequence[Node], demand: Demand, num_workers: int, taken: Mapping[str, int]
) -> dict[str, int]:
    """How many attempts each further node gets, by its id: evenly, as far as each has room.

    Args:
        nodes: those that are alive.
        demand: of one attempt.
        num_workers: of the whole run.
        taken: nodes that are at work, with their attempts.
    """
    room = {node.id: node.num_slots(demand) for node in nodes if node.id not in taken}
    left = num_workers - sum(taken.values())
    shares: dict[str, int] = {}
    while left > 0 and (open_ids := _with_room(room, shares)):
        for node_id in open_ids[:left]:
            shares[node_id] = shares.get(node_id, 0) + 1
        left -= len(open_ids[:left])
    return shares


def _with_room(room: Mapping[str, int], shares: Mapping[str, int]) -> list[str]:
    return [node_id for node_id, slots in room.items() if shares.get(node_id, 0) < slots]
