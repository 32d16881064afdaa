"""One attempt at an instance: tried until it ends for a reason that is the model's.

A try ends in a result, whatever happens in it. Where the reason is ours (an engine that restarts, a
full disk, a model server that is away), the attempt waits until that is mended and is tried again.
"""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path

from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.results import ERRORS, AttemptResult
from rnj_agent.agent.swebench.trial import Trial
from rnj_agent.agent.swebench.vital import wait_for_disk, wait_for_engine, write_patiently
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
    pause, root = workshop.pause, directory.parent
    root.mkdir(parents=True, exist_ok=True)
    num_tries = 0
    while True:
        await wait_for_disk(pause, root)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        trial = Trial(spec=spec, workshop=workshop, directory=directory)
        result = await trial.run()
        pause.check()
        waited_s = trial.paused_s
        if result.status in ERRORS:
            waited_s += await wait_for_engine(pause) + await wait_for_disk(pause, root)
        num_tries += waited_s == 0
        if _counts(result, waited_s) or num_tries >= spec.num_tries:
            await write_patiently(pause, root, partial(trial.save, result))
            return result
        _tell(spec, workshop, result)


def _counts(result: AttemptResult, waited_s: float) -> bool:
    """Whether it ended as the model made it end. A registry that has no such image has been asked
    often enough; time that was spent waiting for us is not the model's.
    """
    if result.status == "time_limit":
        return waited_s == 0
    return result.status not in ERRORS or result.status == "image_error"


def _tell(spec: AttemptSpec, workshop: Workshop, result: AttemptResult) -> None:
    name = f"{spec.instance.instance_id}, attempt {spec.attempt}"
    text = f"{name}: {result.status}: {result.detail}; it is run again"
    workshop.say(Notice(level="warning", text=text))
