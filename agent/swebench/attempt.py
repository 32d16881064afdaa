"""One attempt at an instance: tried until it ends for a reason that is the model's.

A try ends in a result, whatever happens in it. Where the reason is ours (an engine that restarts, a
full disk, a model server that is away), the attempt waits until that is mended and is tried again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.results import ERRORS, AttemptResult
from rnj_agent.agent.swebench.trial import Trial
from rnj_agent.agent.swebench.vital import wait_for_disk, wait_for_engine
from rnj_agent.agent.swebench.workshop import Workshop


async def run_attempt(spec: AttemptSpec, workshop: Workshop, directory: Path) -> AttemptResult:
    """Run an attempt to its result.

    Args:
        spec: what is asked for.
        workshop: this process's.
        directory: where its files come to lie: events.jsonl and meta.json, then patch.diff, then
            result.json. What is there of an earlier try is removed.

    Raises:
        PauseLimitError: something that all attempts need has been away for too long.
        CancelledError: the directory then holds no result.
    """
    workshop.board.begin(spec.instance.instance_id, spec.attempt)
    try:
        return await _until_it_is_a_result(spec, workshop, directory)
    finally:
        workshop.board.end(spec.instance.instance_id, spec.attempt)


async def _until_it_is_a_result(
    spec: AttemptSpec, workshop: Workshop, directory: Path
) -> AttemptResult:
    num_tries = 0
    while True:
        await wait_for_disk(workshop.pause, directory.parent)
        shutil.rmtree(directory, ignore_errors=True)
        trial = Trial(spec=spec, workshop=workshop, directory=directory)
        result = await trial.run()
        workshop.pause.check()
        waited_s = trial.paused_s
        waited_s += await wait_for_engine(workshop.pause)
        waited_s += await wait_for_disk(workshop.pause, directory.parent)
        if result.status not in ERRORS and not (result.status == "time_limit" and waited_s):
            trial.save(result)
            return result
        num_tries += waited_s == 0
        if num_tries >= spec.num_tries:
            trial.save(result)
            return result
