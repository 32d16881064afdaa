"""One node at work: its crew from hiring to the end, and what it sends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncGenerator, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import rnj_agent
from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.activity import Board
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.cluster.base import (
    Cluster,
    Crew,
    CrewLostError,
    CrewNotOpenError,
    CrewOrder,
    Outcome,
)
from rnj_agent.agent.swebench.cluster.fetching import fetch
from rnj_agent.agent.swebench.cluster.nodes import Node
from rnj_agent.agent.swebench.cluster.work import Work
from rnj_agent.agent.swebench.executor import OnResult
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.pause import RETRY_S, Pause
from rnj_agent.agent.swebench.results import AttemptResult
from rnj_agent.agent.swebench.run_dir import RESULT, RunDir, write_record
from rnj_agent.agent.swebench.vital import wait_for_disk, write_patiently
from rnj_agent.agent.wording import counted

_NEWS_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    directory: RunDir
    cluster: Cluster
    order: CrewOrder
    work: Work
    on_result: OnResult
    pause: Pause
    board: Board
    say: Say

    async def run(self, node: Node, num_slots: int) -> None:
        """Take attempts there until none is left.

        Raises:
            CrewLostError: the crew went; what it had waits again. CrewNotOpenError: it had nothing.
            SandboxError: the node has no engine.
            RnjError: nothing can be run there or anywhere.
        """
        async with self._hired(node, num_slots) as crew:
            workers = [asyncio.create_task(self._take(crew, node)) for _ in range(num_slots)]
            news = asyncio.create_task(self._follow(crew, node))
            try:
                done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
                for worker in done:
                    worker.result()
            finally:
                await end_all([news, *workers])

    @asynccontextmanager
    async def _hired(self, node: Node, num_slots: int) -> AsyncGenerator[Crew]:
        order = replace(
            self.order,
            num_slots=num_slots,
            spared=self.work.elsewhere(),
            hired_s=time.time(),
        )
        crew = await asyncio.to_thread(self.cluster.hire, node, order)
        try:
            try:
                version = await crew.open()
            except CrewLostError as exc:
                raise CrewNotOpenError(str(exc)) from exc
            if version != rnj_agent.__version__:
                raise UsageError(
                    f"{node.name} has rnj-agent {version}; this is {rnj_agent.__version__}.",
                    hint=f"there: pip install rnj-agent=={rnj_agent.__version__}",
                )
            taken = counted(num_slots, "attempt")
            self.say(Notice(level="info", text=f"{node.name} takes {taken} at once"))
            yield crew
        finally:
            await to_its_end(crew.close(self.work.elsewhere(node.id)))

    async def _take(self, crew: Crew, node: Node) -> None:
        while (spec := await self.work.next()) is not None:
            try:
                with self.work.begun(spec, node.id):
                    result = await self._attempt(crew, spec)
            except CrewLostError as exc:
                if self.work.is_given_up(spec):
                    await to_its_end(self._give_up(spec, exc))
                raise
            # What is here is reported, also where the crew is lost meanwhile.
            await to_its_end(self._report(spec, result))
            with contextlib.suppress(CrewLostError):
                await crew.forget(spec)

    async def _attempt(self, crew: Crew, spec: AttemptSpec) -> AttemptResult:
        instance_id = spec.instance.instance_id
        directory = self.directory.attempt(instance_id, spec.attempt)
        self.board.begin(instance_id, spec.attempt)
        try:
            outcome = await crew.attempt(spec)
            await self._bring(crew, spec, outcome, directory)
        finally:
            self.board.end(instance_id, spec.attempt)
        return outcome.result

    async def _bring(
        self, crew: Crew, spec: AttemptSpec, outcome: Outcome, directory: Path
    ) -> None:
        """As soon as the disk here has room; there the files wait."""
        while True:
            await wait_for_disk(self.pause, self.directory.root)
            try:
                await fetch(crew, spec, outcome, directory)
                return
            except OSError as exc:
                if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
            await asyncio.sleep(RETRY_S)

    async def _give_up(self, spec: AttemptSpec, why: CrewLostError) -> None:
        result = AttemptResult(
            attempt=spec.attempt,
            status="sandbox_error",
            detail=f"its node was lost {counted(spec.num_tries, 'time')}: {why}",
            seed=spec.seed,
            temperature=spec.temperature,
        )
        path = self.directory.attempt(spec.instance.instance_id, spec.attempt) / RESULT
        write = partial(write_record, path, result)
        await write_patiently(self.pause, self.directory.root, write)
        await self._report(spec, result)

    async def _report(self, spec: AttemptSpec, result: AttemptResult) -> None:
        await self.on_result(spec, result)
        self.work.finish_one()

    async def _follow(self, crew: Crew, node: Node) -> None:
        """Show what happens there, for as long as anything does."""
        with contextlib.suppress(CrewLostError):  # whoever works there tells it
            while True:
                news = await crew.news()
                for notice in news.notices:
                    self.say(replace(notice, text=f"{node.name}: {notice.text}"))
                for entry in news.in_flight:
                    self.board.doing(entry.instance_id, entry.attempt, entry.what)
                await asyncio.sleep(_NEWS_S)


async def end_all(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel them, and wait until each has ended in order."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Also where whoever waits for it is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
    task.result()
