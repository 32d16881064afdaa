"""A cluster in this process, whose nodes come, die and refuse as a test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import rnj_agent
from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import InFlight
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import CrewLostError, CrewOrder, News, Outcome
from rnj_agent.agent.swebench.cluster.nodes import Node
from rnj_agent.agent.swebench.results import AttemptResult
from rnj_agent.sandbox.errors import SandboxError

EVENTS = b"an event\n" * 1000


@dataclass(eq=False)
class FakeNode:
    """Args: how it fails, if at all."""

    name: str
    num_cpus: int = 2
    error: RnjError | SandboxError | CrewLostError | None = None
    """Of its opening."""
    dies_at: int = 0
    """The attempt, counted on this node, that kills its crew."""
    kills: frozenset[str] = frozenset()
    """Instances that kill any crew."""
    takes_s: float = 0.01
    attempt_error: RnjError | None = None
    version: str = rnj_agent.__version__
    is_alive: bool = True
    ran: list[str] = field(default_factory=list[str])
    orders: list[CrewOrder] = field(default_factory=list[CrewOrder])
    num_closed: int = 0
    num_cancelled: int = 0
    num_now: int = 0
    num_at_most: int = 0


@dataclass
class FakeCluster:
    """Implements ``Cluster``."""

    members: list[FakeNode]

    def nodes(self) -> Sequence[Node]:
        return [
            Node(id=each.name, name=each.name, resources={"CPU": float(each.num_cpus)})
            for each in self.members
            if each.is_alive
        ]

    def hire(self, node: Node, order: CrewOrder) -> FakeCrew:
        (member,) = [each for each in self.members if each.name == node.id]
        member.orders.append(order)
        return FakeCrew(member)


class FakeCrew:
    """Implements ``Crew``."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node
        self._is_dead = False
        self._files: dict[str, dict[str, bytes]] = {}
        self._told: Counter[str] = Counter()

    async def open(self) -> str:
        if self._node.error is not None:
            raise self._node.error
        return self._node.version

    async def attempt(self, spec: AttemptSpec) -> Outcome:
        node, instance_id = self._node, spec.instance.instance_id
        self._check()
        node.ran.append(instance_id)
        node.num_now += 1
        node.num_at_most = max(node.num_at_most, node.num_now)
        try:
            await asyncio.sleep(node.takes_s)
        except asyncio.CancelledError:
            node.num_cancelled += 1
            raise
        finally:
            node.num_now -= 1
        if node.attempt_error is not None:
            raise node.attempt_error
        if len(node.ran) == node.dies_at or instance_id in node.kills:
            self._is_dead = True
        self._check()
        return self._outcome(spec)

    def _outcome(self, spec: AttemptSpec) -> Outcome:
        patch = f"patch of {spec.session_id}\n".encode()
        result = AttemptResult(
            attempt=spec.attempt,
            status="submitted",
            patch_sha256=sha256(patch).hexdigest(),
            worker=self._node.name,
        )
        files = {
            "result.json": result.model_dump_json().encode(),
            "patch.diff": patch,
            "events.jsonl": EVENTS,
        }
        self._files[spec.session_id] = files
        sizes = tuple((name, len(data)) for name, data in files.items())
        return Outcome(result=result, files=sizes)

    async def read(self, spec: AttemptSpec, name: str, offset: int, size: int) -> bytes:
        self._check()
        return self._files[spec.session_id][name][offset : offset + size]

    async def forget(self, spec: AttemptSpec) -> None:
        self._check()
        del self._files[spec.session_id]

    async def news(self) -> News:
        self._check()
        self._told["news"] += 1
        here = InFlight(instance_id="tiny__tiny-0", attempt=1, what="step 7", since_s=0.0)
        notices = (Notice(level="info", text="hello"),) if self._told["news"] == 1 else ()
        return News(notices=notices, in_flight=(here,))

    async def close(self, spared: frozenset[str]) -> None:
        self._node.num_closed += 1

    def _check(self) -> None:
        if self._is_dead or not self._node.is_alive:
            raise CrewLostError("its node is gone")
