"""From attempts to results: what is finished is written down at once, and never done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rnj_agent.agent.swebench.attempt_choice import choose
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.executor import Executor
from rnj_agent.agent.swebench.manifest import Manifest
from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.agent.swebench.plan import make_plan
from rnj_agent.agent.swebench.predictions import Predictions
from rnj_agent.agent.swebench.results import AttemptResult, InstanceResult
from rnj_agent.agent.swebench.run_dir import RESULT, RunDir, write_record
from rnj_agent.agent.swebench.run_request import RunRequest
from rnj_agent.agent.swebench.vital import write_patiently

OnFinished = Callable[[InstanceResult], None]


class Runner:
    """Args:
    run: the directory, which no other process runs in.
    manifest: what the run is held to.
    request: what is asked for.
    pause: where to wait for room on the disk.
    on_finished: is told of each instance that has its result.
    """

    def __init__(
        self,
        run: RunDir,
        manifest: Manifest,
        request: RunRequest,
        *,
        pause: Pause,
        on_finished: OnFinished,
    ) -> None:
        self._run = run
        self._manifest = manifest
        self._request = request
        self._pause = pause
        self._on_finished = on_finished
        self._turn = asyncio.Lock()
        self._num_missing: dict[str, int] = {}
        self._predictions: Predictions | None = None

    async def run(self, executor: Executor) -> None:
        """Do what is still to be done.

        Raises:
            PauseLimitError: something that all attempts need stayed away.
            OSError: the disk refuses.
        """
        request, manifest = self._request, self._manifest
        plan = await asyncio.to_thread(make_plan, self._run, manifest.run_id, request)
        for spec in plan.specs:
            instance_id = spec.instance.instance_id
            self._num_missing[instance_id] = self._num_missing.get(instance_id, 0) + 1
        self._predictions = await asyncio.to_thread(
            Predictions,
            self._run,
            model_name=manifest.model_name,
            instance_ids=manifest.instance_ids,
        )
        await write_patiently(self._pause, self._run.root, self._predictions.write)
        for instance_id in plan.unsettled:
            await self._settle(instance_id)
        await executor.run(plan.specs, self._on_result)

    async def _on_result(self, spec: AttemptSpec, _result: AttemptResult) -> None:
        instance_id = spec.instance.instance_id
        self._num_missing[instance_id] -= 1
        if self._num_missing[instance_id] == 0:
            await self._settle(instance_id)

    async def _settle(self, instance_id: str) -> None:
        """All attempts are there: choose, write the result, then the predictions with it."""
        predictions = self._predictions
        assert predictions is not None
        async with self._turn:
            result = await asyncio.to_thread(self._chosen, instance_id)
            path = self._run.instance(instance_id) / RESULT
            await write_patiently(self._pause, self._run.root, lambda: write_record(path, result))
            await asyncio.to_thread(predictions.take, result)
            await write_patiently(self._pause, self._run.root, predictions.write)
        self._on_finished(result)

    def _chosen(self, instance_id: str) -> InstanceResult:
        numbers = range(1, self._request.num_attempts + 1)
        known = [self._run.read_attempt(instance_id, number) for number in numbers]
        attempts = [attempt for attempt in known if attempt is not None]
        assert attempts, f"{instance_id} is settled without attempts"
        choice = choose(attempts, lambda number: self._run.read_patch(instance_id, number))
        speaks = choice.attempt or attempts[-1]
        return InstanceResult(
            instance_id=instance_id,
            status=speaks.status,
            chosen=None if choice.attempt is None else choice.attempt.attempt,
            why=choice.why,
            attempts=tuple(attempts),
        )
