"""Ray as the cluster: the only module that knows it, and it is imported when a run asks for it.

One actor a node, with all of the node's attempts in one event loop; Ray keeps the CPUs and named
resources of all of them for it. No files are shared, and nothing of a run outlives its driver but
containers, which the same command removes when it is given again.
https://docs.ray.io/en/latest/ray-core/actors/async_api.html
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import Any, Final, TypeVar

from rnj_agent.agent.errors import RnjError, UsageError
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import CrewLostError, CrewOrder, News, Outcome
from rnj_agent.agent.swebench.cluster.nodes import Demand, Node
from rnj_agent.agent.swebench.cluster.ray_worker import RayWorker
from rnj_agent.sandbox.errors import SandboxError

_T = TypeVar("_T")
_CLOSE_S: Final = 120.0
"""For containers to go; then the process is ended anyway."""
_KNOCK_S: Final = 10.0
_SPARE_CALLS: Final = 16
"""At once, beside attempts: news, pieces of files."""
NO_RAY: Final = "--executor ray needs Ray, which is not installed."


class RayCluster:
    """Implements ``Cluster``; made by ``connect``."""

    def __init__(self, ray: Any, demand: Demand) -> None:
        self._ray = ray
        self._demand = demand

    def nodes(self) -> Sequence[Node]:
        return [
            Node(
                id=str(node["NodeID"]),
                name=f"{node['NodeManagerHostname']} ({str(node['NodeID'])[:6]})",
                resources={str(name): float(each) for name, each in node["Resources"].items()},
            )
            for node in self._ray.nodes()
            if node["Alive"]
        ]

    def hire(self, node: Node, order: CrewOrder) -> RayCrew:
        strategies = import_module("ray.util.scheduling_strategies")
        demand, num_slots = self._demand, order.num_slots
        actor = self._ray.remote(RayWorker).options(
            num_cpus=demand.num_cpus * num_slots,
            resources={name: each * num_slots for name, each in demand.resources.items()},
            max_concurrency=num_slots + _SPARE_CALLS,
            max_restarts=0,
            scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(node.id, soft=False),
        )
        return RayCrew(self._ray, actor.remote(order, node.id))


class RayCrew:
    """Implements ``Crew``: an actor's methods, with Ray's errors in our words."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray = ray
        self._actor = actor
        self._is_open = False

    async def open(self) -> str:
        version = await self._told(self._actor.open.remote())
        self._is_open = True
        return version

    async def attempt(self, spec: AttemptSpec) -> Outcome:
        call = self._actor.attempt.remote(spec)
        try:
            return await self._told(call)
        except asyncio.CancelledError:
            self._ray.cancel(call)
            with contextlib.suppress(CrewLostError, TimeoutError, RnjError, SandboxError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._told(call)
            raise

    async def read(self, spec: AttemptSpec, name: str, offset: int, size: int) -> bytes:
        return await self._told(self._actor.read.remote(spec, name, offset, size))

    async def forget(self, spec: AttemptSpec) -> None:
        await self._told(self._actor.forget.remote(spec))

    async def news(self) -> News:
        return await self._told(self._actor.news.remote())

    async def close(self, spared: frozenset[str]) -> None:
        if self._is_open:
            with contextlib.suppress(CrewLostError, TimeoutError, RnjError, SandboxError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._told(self._actor.close.remote(spared))
        self._ray.kill(self._actor)

    async def _told(self, call: Awaitable[_T]) -> _T:
        """The call's result.

        Raises:
            CrewLostError: the actor's process or node is gone, or cannot be reached.
            RnjError, SandboxError: as there.
        """
        errors = self._ray.exceptions
        try:
            return await call
        except errors.TaskCancelledError as exc:
            raise CrewLostError("it was cancelled there") from exc
        except errors.RayTaskError as exc:
            if isinstance(exc.cause, (RnjError, SandboxError)):
                raise exc.cause from None
            raise CrewLostError(f"{type(exc.cause).__name__} there: {exc.cause}") from exc
        except errors.RayError as exc:
            raise CrewLostError(" ".join(str(exc).split())[:200]) from exc


@contextmanager
def connect(address: str, demand: Demand) -> Generator[RayCluster]:
    """A connection to a cluster, or to one that lives on this machine for as long as this.

    Args:
        address: ``auto``, ``HOST:PORT``, ``ray://HOST:PORT``, or ``local`` for one of our own.
        demand: of one attempt.

    Raises:
        UsageError: Ray is not installed, or no cluster answers there.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError as exc:
        raise UsageError(NO_RAY, hint="pip install 'rnj-agent[ray]'") from exc
    _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as exc:
        first, *_ = str(exc).strip().split("\n")
        raise UsageError(
            f"No Ray cluster answers at {address}: {first}", hint="ray status"
        ) from exc
    finally:
        _put_back(handlers)
    try:
        # Ray tells of dead nodes, at length, on stdout, where the result alone belongs.
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield RayCluster(ray, demand)
    finally:
        ray.shutdown()
        _put_back(handlers)


def _knock(address: str) -> None:
    """Find out in seconds what Ray would find out in minutes.

    Raises:
        UsageError: nothing listens there.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "://" in address:
        return  # auto, local, and what Ray alone understands
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except (OSError, ValueError, OverflowError) as exc:
        raise _no_cluster(address, str(exc)) from exc


def _no_cluster(address: str, why: str) -> UsageError:
    return UsageError(f"No Ray cluster answers at {address}: {why}", hint="ray status")


def _put_back(handlers: dict[signal.Signals, Any]) -> None:
    """Ray takes SIGTERM to itself; here it ends a run in order."""
    for number, handler in handlers.items():
        with contextlib.suppress(ValueError):  # not the main thread: nothing was taken
            signal.signal(number, handler)
