"""A crew's own process on a node: runs attempts as a local run would, and hands out their files.

It knows no Ray: its methods are what Ray calls from afar.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import rnj_agent
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import Board
from rnj_agent.agent.swebench.attempt import run_attempt
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import CrewOrder, News, Outcome
from rnj_agent.agent.swebench.leftovers import remove_leftovers
from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.agent.swebench.workshop import Workshop, open_workshop
from rnj_agent.sandbox.errors import SandboxError

_SPARE_THREADS: Final = 8


class RayWorker:
    """Args:
    order: what it is hired for.
    node_id: tells its files from those of other nodes on the same machine.
    """

    def __init__(self, order: CrewOrder, node_id: str) -> None:
        self._order = order
        self._root = Path(tempfile.gettempdir()) / f"rnj-swebench-{order.run_id}-{node_id[:12]}"
        self._board = Board(order.num_slots)
        self._notices: list[Notice] = []
        self._workshop: asyncio.Future[Workshop] | None = None
        self._is_over = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> str:
        """As ``Crew.open``."""
        for name, value in self._order.environment.items():
            os.environ.setdefault(name, value)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(self._order.num_slots + _SPARE_THREADS))
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        await asyncio.to_thread(self._sweep, self._order.spared, self._order.hired_s)
        self._workshop = loop.create_future()
        self._keeper = asyncio.create_task(self._keep(self._workshop))
        await asyncio.wait([self._workshop, self._keeper], return_when=asyncio.FIRST_COMPLETED)
        if self._keeper.done():
            self._keeper.result()
        return rnj_agent.__version__

    async def attempt(self, spec: AttemptSpec) -> Outcome:
        assert self._workshop is not None
        directory = self._directory(spec)
        result = await run_attempt(spec, self._workshop.result(), directory)
        files = [(path.name, path.stat().st_size) for path in sorted(directory.iterdir())]
        return Outcome(result=result, files=tuple(files))

    async def read(self, spec: AttemptSpec, name: str, offset: int, size: int) -> bytes:
        def piece() -> bytes:
            with (self._directory(spec) / name).open("rb") as file:
                file.seek(offset)
                return file.read(size)

        return await asyncio.to_thread(piece)

    async def forget(self, spec: AttemptSpec) -> None:
        await asyncio.to_thread(shutil.rmtree, self._directory(spec), ignore_errors=True)

    async def news(self) -> News:
        notices, self._notices = tuple(self._notices), []
        return News(notices=notices, in_flight=self._board.activity().in_flight)

    async def close(self, spared: frozenset[str]) -> None:
        """As ``Crew.close``; what is under way must have ended."""
        self._is_over.set()
        assert self._keeper is not None
        await asyncio.wait([self._keeper])
        with contextlib.suppress(SandboxError):  # no engine: nothing of ours runs in it
            await asyncio.to_thread(self._sweep, spared)
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)

    async def _keep(self, workshop: asyncio.Future[Workshop]) -> None:
        """Hold the workshop open, in one task from its beginning to its end."""
        order = self._order
        pause = Pause(say=self._notices.append, limit_s=order.pause_limit_s)
        shop = open_workshop(
            order.config, order.images, pause=pause, board=self._board, say=self._notices.append
        )
        async with shop as opened:
            workshop.set_result(opened)
            await self._is_over.wait()

    def _sweep(self, spared: frozenset[str], before_s: float = math.inf) -> None:
        remove_leftovers(self._order.run_id, spared=spared, before_s=before_s)

    def _directory(self, spec: AttemptSpec) -> Path:
        return self._root / spec.instance.instance_id / f"attempt-{spec.attempt}"
