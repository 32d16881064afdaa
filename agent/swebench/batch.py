"""A run from its directory's lock to the last container: what ``rnj-agent swebench run`` does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Final

from rich.console import Console

from rnj_agent.agent.endpoint import resolve_endpoint
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import Board
from rnj_agent.agent.swebench.cluster.base import CrewOrder
from rnj_agent.agent.swebench.cluster.opening import OnCluster, open_cluster
from rnj_agent.agent.swebench.executor import Executor
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.leftovers import remove_leftovers
from rnj_agent.agent.swebench.live_status import LiveStatus
from rnj_agent.agent.swebench.local_executor import LocalExecutor
from rnj_agent.agent.swebench.manifest import Manifest, hold_to, make_manifest
from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.agent.swebench.results import InstanceResult
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.agent.swebench.run_lock import locked
from rnj_agent.agent.swebench.run_request import RunRequest
from rnj_agent.agent.swebench.runner import Runner
from rnj_agent.agent.swebench.status import Prices
from rnj_agent.agent.swebench.summary import Summary, summarise
from rnj_agent.agent.swebench.vital import wait_for_engine, wait_for_server
from rnj_agent.agent.swebench.workshop import Workshop, open_workshop
from rnj_agent.agent.wording import counted
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError, SandboxUnavailableError

_TICK_S: Final = 0.5
_SPARE_THREADS: Final = 8
_STYLES: Final = {"info": "", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One start of a run, on this machine."""

    request: RunRequest
    num_workers: int
    pause_limit_s: float | None
    prices: Prices | None
    console: Console
    on_cluster: OnCluster | None = None
    """None: all attempts run on this machine."""

    async def run(self) -> Summary:
        """Do what is still to be done of the run.

        Raises:
            UsageError: another process runs there, or the run was begun with something else.
            SandboxUnavailableError, ModelError: no engine, or no model, when the run begins.
            PauseLimitError: something that all attempts need stayed away.
            OSError: the directory cannot be written.
        """
        started_s = time.monotonic()
        run = RunDir(self.request.root)
        with locked(run.root):
            # Waiting for an image or an engine holds a thread, and every worker may have to.
            threads = ThreadPoolExecutor(self.num_workers + _SPARE_THREADS)
            asyncio.get_running_loop().set_default_executor(threads)
            if self.on_cluster is None and not run.manifest.exists():
                await asyncio.to_thread(_knock)
            board = Board(self.num_workers)
            live = LiveStatus(run.root, self.console, board=board, prices=self.prices)
            async with _shown(live):
                manifest = await self._run_shown(run, board, live)
            return await asyncio.to_thread(
                summarise, run, manifest, duration_s=time.monotonic() - started_s
            )

    async def _run_shown(self, run: RunDir, board: Board, live: LiveStatus) -> Manifest:
        request = self.request
        with run.log.open("a", encoding="utf-8") as log:
            say = _speaker(live, log)
            pause = Pause(
                say=say,
                tell=lambda why: board.pause(why) if why else board.resume(),
                limit_s=self.pause_limit_s,
            )
            if run.manifest.exists():
                await self._wait_for_what_was_there(pause)
            shop = open_workshop(request.config, request.images, pause=pause, board=board, say=say)
            async with shop as workshop:
                request = request.settled(workshop.model.info.name)
                wanted = make_manifest(request, workshop.model)
                manifest = hold_to(run, wanted, allow_changed=request.allow_changed)

                def finished(result: InstanceResult) -> None:
                    live.finished(result)
                    _note(log, f"{result.instance_id}  {result.status}  {result.why}".rstrip())

                runner = Runner(run, manifest, request, pause=pause, on_finished=finished)
                async with self._executor(run, manifest, request, workshop) as executor:
                    await runner.run(executor)
            return manifest

    async def _wait_for_what_was_there(self, pause: Pause) -> None:
        """A run that has begun once does not fail because it is resumed at a bad moment."""
        if self.on_cluster is None:
            await wait_for_engine(pause)
        endpoint = resolve_endpoint(self.request.config)
        if not endpoint.is_bundled:
            await wait_for_server(pause, endpoint.base_url)

    @asynccontextmanager
    async def _executor(
        self, run: RunDir, manifest: Manifest, request: RunRequest, workshop: Workshop
    ) -> AsyncGenerator[Executor]:
        if self.on_cluster is None:
            async with _swept(manifest.run_id, workshop):
                yield LocalExecutor(directory=run, workshop=workshop, num_workers=self.num_workers)
            return
        order = CrewOrder(
            run_id=manifest.run_id,
            config=request.config,
            images=request.images,
            pause_limit_s=self.pause_limit_s,
        )
        with open_cluster(self.on_cluster, order, run, workshop, self.num_workers) as executor:
            yield executor


def _knock() -> None:
    """Raises: SandboxUnavailableError: no engine answers; found before a model is started."""
    connect().close()


@asynccontextmanager
async def _shown(live: LiveStatus) -> AsyncGenerator[None]:
    async def tick() -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            live.tick()

    with live:
        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticking.cancel()


@asynccontextmanager
async def _swept(run_id: str, workshop: Workshop) -> AsyncGenerator[None]:
    """No container of the run before it, and none after it."""
    num_left = await _sweep(run_id, workshop.pause)
    if num_left:
        text = f"removed {counted(num_left, 'container')} that a killed runner left"
        workshop.say(Notice(level="info", text=text))
    try:
        yield
    finally:
        with contextlib.suppress(SandboxError):  # no engine: the next start sweeps
            await asyncio.to_thread(remove_leftovers, run_id)


async def _sweep(run_id: str, pause: Pause) -> int:
    while True:
        await wait_for_engine(pause)
        with contextlib.suppress(SandboxUnavailableError):
            return await asyncio.to_thread(remove_leftovers, run_id)


def _speaker(live: LiveStatus, log: IO[str]) -> Say:
    def say(notice: Notice) -> None:
        live.say(notice.text, _STYLES[notice.level])
        _note(log, notice.text)

    return say


def _note(log: IO[str], line: str) -> None:
    """Into the run's log; what a full disk refuses is only on the terminal."""
    with contextlib.suppress(OSError):
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
        log.flush()
