"""What of a run is still to be done, by what its directory holds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.agent.swebench.attempt_spec import AttemptSpec
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.results import ERRORS, LIMITS, REDONE, AttemptResult
from rnj_agent.agent.swebench.run_dir import RESULT, RunDir
from rnj_agent.agent.swebench.run_request import Retry, RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    specs: tuple[AttemptSpec, ...]
    """Attempts to run, those at one instance beside each other."""
    unsettled: tuple[str, ...]
    """Instances whose attempts are all there, but not their result."""


def make_plan(run: RunDir, run_id: str, request: RunRequest) -> Plan:
    """Look at what is there, and set aside what is to be run again.

    Raises:
        OSError: the directory cannot be changed.
    """
    specs: list[AttemptSpec] = []
    unsettled: list[str] = []
    for instance in request.instances:
        missing = _missing(run, instance, request)
        if missing:
            (run.instance(instance.instance_id) / RESULT).unlink(missing_ok=True)
            for attempt in missing:
                _set_aside(run, instance.instance_id, attempt)
                specs.append(request.spec(run_id, instance, attempt))
        elif not _is_settled(run, instance.instance_id, request.num_attempts):
            unsettled.append(instance.instance_id)
    return Plan(specs=tuple(specs), unsettled=tuple(unsettled))


def _missing(run: RunDir, instance: Instance, request: RunRequest) -> Sequence[int]:
    numbers = range(1, request.num_attempts + 1)
    known = ((number, run.read_attempt(instance.instance_id, number)) for number in numbers)
    return [number for number, each in known if each is None or _is_redone(each, request.retry)]


def _is_redone(attempt: AttemptResult, retry: frozenset[Retry]) -> bool:
    status = attempt.status
    return (
        status in REDONE
        or ("errors" in retry and status in ERRORS)
        or ("limits" in retry and status in LIMITS)
        or ("empty" in retry and not attempt.patch_sha256)
    )


def _is_settled(run: RunDir, instance_id: str, num_attempts: int) -> bool:
    result = run.read_result(instance_id)
    return result is not None and len(result.attempts) == num_attempts


def _set_aside(run: RunDir, instance_id: str, attempt: int) -> None:
    """Keep what had a result and is run again: it may tell why it failed."""
    directory = run.attempt(instance_id, attempt)
    if not (directory / RESULT).exists():
        return
    for number in itertools.count(1):
        kept = run.instance(instance_id) / f"earlier-{attempt}.{number}"
        if not kept.exists():
            directory.rename(kept)
            return
