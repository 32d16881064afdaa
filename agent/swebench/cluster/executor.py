"""Attempts on the nodes of a cluster. The driver owns the run directory; nodes share nothing.

A node that is lost costs what was under way there, which is run again; a node that comes is put to
work; an attempt whose node is lost again and again is an error of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import Board
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import (
    Cluster,
    CrewLostError,
    CrewNotOpenError,
    CrewOrder,
)
from rnj_agent.agent.swebench.cluster.nodes import Demand, Node, share_out
from rnj_agent.agent.swebench.cluster.site import Site, end_all
from rnj_agent.agent.swebench.cluster.work import Work
from rnj_agent.agent.swebench.executor import OnResult
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.sandbox.errors import SandboxError

LOOK_S: Final = 5.0
"""Between two looks at which nodes there are."""
_MAX_REFUSED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterExecutor:
    """Implements ``Executor``."""

    directory: RunDir
    """On this machine alone."""
    cluster: Cluster
    order: CrewOrder
    """What every crew is hired for; each one's share is filled in."""
    demand: Demand
    num_workers: int
    """Attempts at once, on all nodes together."""
    pause: Pause
    board: Board
    say: Say
    look_s: float = LOOK_S

    async def run(self, specs: Sequence[AttemptSpec], on_result: OnResult) -> None:
        work = Work(specs)
        site = Site(
            directory=self.directory,
            cluster=self.cluster,
            order=self.order,
            work=work,
            on_result=on_result,
            pause=self.pause,
            board=self.board,
            say=self.say,
        )
        await _Rounds(self, site, work).run()


class _Rounds:
    """Look again and again which nodes there are, and keep a crew on each."""

    def __init__(self, owner: ClusterExecutor, site: Site, work: Work) -> None:
        self._owner = owner
        self._site = site
        self._work = work
        self._crews: dict[str, asyncio.Task[None]] = {}
        self._slots: dict[str, int] = {}
        self._num_refused: Counter[str] = Counter()
        self._unfit: dict[str, SandboxError | UsageError] = {}

    async def run(self) -> None:
        try:
            while not self._work.is_done:
                await self._hire()
                await asyncio.wait(
                    self._crews.values(),
                    timeout=self._owner.look_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                self._dismiss()
            if self._crews:
                await asyncio.wait(self._crews.values())
        finally:
            await end_all(self._crews.values())

    async def _hire(self) -> None:
        """Put every node to work that has room; wait until there is one."""
        what = f"no node of the cluster with a Docker engine offers {self._owner.demand}"
        while True:
            for node, num_slots in await self._free():
                self._slots[node.id] = num_slots
                self._crews[node.id] = asyncio.create_task(self._life(node, num_slots))
            if self._crews:
                return
            await self._owner.pause.until(what, self._is_any_free)

    async def _free(self) -> list[tuple[Node, int]]:
        """Nodes to be put to work, with their shares."""
        alive = await asyncio.to_thread(self._owner.cluster.nodes)
        fit = {node.id: node for node in alive if node.id not in self._unfit}
        owner = self._owner
        shares = share_out(list(fit.values()), owner.demand, owner.num_workers, self._slots)
        return [(fit[node_id], num_slots) for node_id, num_slots in shares.items()]

    async def _is_any_free(self) -> bool:
        return bool(await self._free())

    def _dismiss(self) -> None:
        """Forget crews that ended. Raises: what ended one, where that ends the run."""
        for node_id in [node_id for node_id, task in self._crews.items() if task.done()]:
            del self._slots[node_id]
            self._crews.pop(node_id).result()
        if self._unfit and not self._crews and not self._work.is_begun:
            raise next(iter(self._unfit.values()))

    async def _life(self, node: Node, num_slots: int) -> None:
        try:
            await self._site.run(node, num_slots)
        except CrewNotOpenError as exc:
            self._refused(node, exc)
        except CrewLostError as exc:
            self._tell("warning", f"lost {node.name}; what it was at is run again: {exc}")
        except SandboxError as exc:
            self._leave_out(node, exc)

    def _refused(self, node: Node, exc: CrewNotOpenError) -> None:
        """One that has just died is listed for a while yet; one that lacks something, for ever."""
        self._num_refused[node.id] += 1
        if self._num_refused[node.id] < _MAX_REFUSED:
            self._tell("warning", f"{node.name} did not begin, and is asked again: {exc}")
            return
        hint = "is this rnj-agent installed there, in the Python that runs Ray?"
        self._leave_out(node, UsageError(f"{node.name} cannot begin: {exc}", hint=hint))

    def _leave_out(self, node: Node, exc: SandboxError | UsageError) -> None:
        self._unfit[node.id] = exc
        self._tell("warning", f"{node.name} is left out: {exc.message}")

    def _tell(self, level: Literal["info", "warning"], text: str) -> None:
        self._owner.say(Notice(level=level, text=text))
