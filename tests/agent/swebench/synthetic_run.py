"""Run directories without a run: plausible records and event logs, the same ones every time."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import (
    Event,
    MessageFinished,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
)
from rnj_agent.agent.messages import AssistantMessage, ToolCall, UserMessage
from rnj_agent.agent.swebench.results import (
    AttemptResult,
    Evaluation,
    ExitStatus,
    InstanceResult,
)
from rnj_agent.agent.swebench.run_dir import PATCH, RESULT, RunDir, write_record

REPOS: Final = {
    "django__django": 46,
    "sympy__sympy": 15,
    "sphinx-doc__sphinx": 9,
    "matplotlib__matplotlib": 7,
    "scikit-learn__scikit-learn": 6,
    "astropy__astropy": 4,
    "pydata__xarray": 4,
    "pytest-dev__pytest": 4,
    "pylint-dev__pylint": 2,
    "psf__requests": 2,
    "marshmallow-code__marshmallow": 1,
}
STATUSES: Final[dict[ExitStatus, int]] = {
    "submitted": 70,
    "step_limit": 12,
    "context_full": 6,
    "format_errors": 4,
    "loop": 3,
    "time_limit": 2,
    "model_error": 1,
    "image_error": 1,
    "sandbox_error": 1,
}
DETAILS: Final[dict[ExitStatus, str]] = {
    "submitted": "the model submitted",
    "step_limit": "250 steps, and no submission",
    "context_full": "the window of 32,768 tokens is full, and nothing is left to shrink",
    "format_errors": "5 malformed replies in a row: no bash block",
    "loop": "the same call with the same result 6 times",
    "time_limit": "3,600 s are over",
    "model_error": "the server refuses the request: 400 Bad Request",
    "image_error": "the image cannot be pulled: manifest unknown",
    "sandbox_error": "the container is gone: out of memory",
}
STARTED: Final = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PATCH_TEXT: Final = """\
diff --git a/src/fields.py b/src/fields.py
index 1111111..2222222 100644
--- a/src/fields.py
+++ b/src/fields.py
@@ -118,7 +118,9 @@ class TimeDelta(Field):
     def _serialize(self, value, attr, obj):
         if value is None:
             return None
-        base_unit = dt.timedelta(**{self.precision: 1})
-        return int(value.total_seconds() / base_unit.total_seconds())
+        # Rounded, not cut: 345 ms are 344.99999 of a millisecond's float.
+        base_unit = dt.timedelta(**{self.precision: 1})
+        delta = value / base_unit
+        return int(round(delta))
"""
ISSUE: Final = (
    "TimeDelta serialization precision\n\nHi there!\n\nI just found quite strange behaviour of "
    "`TimeDelta` field serialization: 345 ms come out as 344."
)
THOUGHTS: Final = (
    "Let me find where the value is computed, and read the tests that exercise `TimeDelta`.",
    "The division truncates. `345` milliseconds become `344` because the float quotient is a "
    "little below the integer, and `int()` cuts it off. I'll reproduce that first.",
    "Now I change the serialisation so that it rounds, and run the tests of this module again.",
)
COMMANDS: Final = (
    "grep -rn 'TimeDelta' src/ | head -20",
    "sed -n 100,140p src/fields.py",
    "python -m pytest -q tests/test_fields.py -k timedelta",
)
OUTPUT: Final = "tests/test_fields.py::TestTimeDelta::test_milliseconds PASSED   [ 50%]\n" * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What kind of run to make."""

    num_selected: int = 60
    num_finished: int = 60
    num_attempts: int = 1
    share_resolved: float = 0.3
    """Of the patches."""
    share_evaluated: float = 1.0
    seed: int = 0
    with_events: bool = True


def write_run(root: Path, shape: Shape) -> RunDir:
    """Make a run directory of this shape."""
    run = RunDir(root)
    root.mkdir(parents=True)
    dice = random.Random(shape.seed)
    ids = instance_ids(shape.num_selected)
    manifest = {
        "model_name": "rnj-1-instruct",
        "source": "verified",
        "instance_ids": ids,
        "attempts": shape.num_attempts,
        "config": {"limits": {"steps": 250}, "model": {"protocol": "text", "temperature": 0.2}},
        "version": "0.1.0",
        "prompts_sha256": hashlib.sha256(b"prompts").hexdigest(),
    }
    run.manifest.write_text(json.dumps(manifest), encoding="utf-8")
    for number, instance_id in enumerate(ids[: shape.num_finished]):
        result = _write_instance(run, instance_id, number, shape, dice)
        if dice.random() < shape.share_evaluated:
            write_record(run.evaluation(instance_id), _evaluation(result, shape, dice))
    return run


def instance_ids(number: int) -> list[str]:
    repos = random.Random(1).choices(list(REPOS), weights=list(REPOS.values()), k=number)
    return [f"{repo}-{10000 + 37 * index}" for index, repo in enumerate(repos)]


def _write_instance(
    run: RunDir, instance_id: str, number: int, shape: Shape, dice: random.Random
) -> InstanceResult:
    attempts = tuple(
        _write_attempt(run, instance_id, attempt, number, shape, dice)
        for attempt in range(1, shape.num_attempts + 1)
    )
    with_patch = [each for each in attempts if each.patch_bytes]
    chosen = dice.choice(with_patch) if with_patch else None
    speaks = chosen or attempts[-1]
    result = InstanceResult(
        instance_id=instance_id,
        status=speaks.status,
        chosen=chosen.attempt if chosen else None,
        why="the patch of most attempts" if chosen and shape.num_attempts > 1 else "",
        attempts=attempts,
    )
    write_record(run.instance(instance_id) / RESULT, result)
    return result


def _write_attempt(
    run: RunDir, instance_id: str, attempt: int, number: int, shape: Shape, dice: random.Random
) -> AttemptResult:
    (status,) = dice.choices(list(STATUSES), weights=list(STATUSES.values()))
    has_patch = dice.random() < {"submitted": 0.94, "step_limit": 0.5}.get(status, 0.15)
    num_steps = 250 if status == "step_limit" else min(249, int(dice.lognormvariate(3.2, 0.6)) + 2)
    patch = PATCH_TEXT.replace("345", str(345 + dice.randrange(3))) if has_patch else ""
    directory = run.attempt(instance_id, attempt)
    directory.mkdir(parents=True)
    model_s = num_steps * dice.uniform(2.5, 6)
    result = AttemptResult(
        attempt=attempt,
        status=status,
        detail=DETAILS[status],
        patch_sha256=hashlib.sha256(patch.encode()).hexdigest() if patch else "",
        patch_bytes=len(patch),
        num_steps=num_steps,
        num_prompt_tokens=num_steps * (2_000 + num_steps * 160),
        num_cached_tokens=num_steps * (1_700 + num_steps * 150),
        num_completion_tokens=int(num_steps * dice.uniform(80, 260)),
        model_s=model_s,
        commands_s=num_steps * dice.uniform(0.2, 1.4),
        sandbox_s=1.7,
        image_s=dice.expovariate(1 / 20),
        duration_s=model_s * 1.4 + 20,
        temperature=0.2,
        started_at=(STARTED + timedelta(seconds=16 * number)).isoformat(),
        worker="node-1:4242",
    )
    if patch:
        (directory / PATCH).write_text(patch, encoding="utf-8")
    if shape.with_events:
        lines = (f"{event_to_json(event)}\n" for event in trajectory(instance_id, result, patch))
        (directory / "events.jsonl").write_text("".join(lines), encoding="utf-8")
    write_record(directory / RESULT, result)
    return result


def trajectory(instance_id: str, result: AttemptResult, patch: str) -> Iterator[Event]:
    """The events of an attempt, deltas too."""
    yield RunStarted(
        session_id=instance_id,
        task=instance_id,
        cwd="/testbed",
        model="rnj-1-instruct",
        endpoint="http://127.0.0.1:8000/v1",
        context_window=32_768,
        protocol="text",
        sandbox="docker",
        started_at=result.started_at,
        version="0.1.0",
    )
    yield MessageFinished(message=UserMessage(content=ISSUE))
    for step in range(1, result.num_steps + 1):
        yield from _step(step)
    yield RunFinished(
        reason="submitted" if result.status == "image_error" else result.status,
        detail=result.detail,
        answer="",
        patch=patch,
        verified=None,
        num_steps=result.num_steps,
        num_prompt_tokens=result.num_prompt_tokens,
        num_cached_tokens=result.num_cached_tokens,
        num_completion_tokens=result.num_completion_tokens,
        duration_s=result.duration_s,
    )


def _step(step: int) -> Iterator[Event]:
    command = COMMANDS[step % 3]
    call = ToolCall(id=f"c{step}", name="bash", arguments=json.dumps({"command": command}))
    said = f"{THOUGHTS[step % 3]}\n\n```bash\n{command}\n```"
    yield StepStarted(step=step, num_prompt_tokens=2_000 + 160 * step, exact=True)
    yield from (TextDelta(text=word) for word in said.split(" "))
    yield MessageFinished(message=AssistantMessage(content=said, tool_calls=(call,)))
    yield ToolCallStarted(call=call)
    failed = step % 7 == 3
    output = "E   AssertionError: assert 344 == 345\n1 failed" if failed else OUTPUT
    yield ToolOutputDelta(call_id=call.id, text=output)
    yield ToolCallFinished(
        call_id=call.id, content=output, is_error=False, exit_code=int(failed), duration_s=0.4
    )
    yield StepFinished(step=step, model_s=3.0, tools_s=0.4, own_s=0.01)


def _evaluation(result: InstanceResult, shape: Shape, dice: random.Random) -> Evaluation:
    chosen = next((each for each in result.attempts if each.attempt == result.chosen), None)
    if chosen is None:
        return Evaluation(instance_id=result.instance_id, status="empty_patch")
    tests = ("tests/test_fields.py::test_milliseconds", "tests/test_fields.py::test_seconds")
    if dice.random() < shape.share_resolved:
        return Evaluation(
            instance_id=result.instance_id,
            status="resolved",
            patch_sha256=chosen.patch_sha256,
            fail_to_pass_passed=tests,
            num_pass_to_pass=210,
            duration_s=21.0,
        )
    breaks = dice.random() < 0.25
    return Evaluation(
        instance_id=result.instance_id,
        status="not_applied" if dice.random() < 0.06 else "unresolved",
        detail="1 of 2 tests fails" if not breaks else "2 tests that passed fail",
        patch_sha256=chosen.patch_sha256,
        fail_to_pass_passed=tests[:1] if dice.random() < 0.3 else (),
        fail_to_pass_failed=tests[1:],
        pass_to_pass_failed=("tests/test_schema.py::test_dump",) if breaks else (),
        num_pass_to_pass=210,
    )
