"""Attempts in this process: one task a worker, all in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rnj_agent.agent.swebench.attempt import run_attempt
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.executor import OnResult
from rnj_agent.agent.swebench.run_dir import RunDir
from rnj_agent.agent.swebench.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutor:
    """Implements ``Executor``."""

    directory: RunDir
    workshop: Workshop
    num_workers: int

    async def run(self, specs: Sequence[AttemptSpec], on_result: OnResult) -> None:
        waiting = iter(specs)
        workers = [
            asyncio.create_task(self._work(waiting, on_result))
            for _ in range(min(self.num_workers, len(specs)))
        ]
        if not workers:
            return
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)

    async def _work(self, waiting: Iterator[AttemptSpec], on_result: OnResult) -> None:
        for spec in waiting:
            directory = self.directory.attempt(spec.instance.instance_id, spec.attempt)
            await on_result(spec, await run_attempt(spec, self.workshop, directory))
