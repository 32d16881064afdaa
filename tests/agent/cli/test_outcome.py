"""The exit code of every way a run can end."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from rnj_agent.agent.cli.outcome import exit_code
from rnj_agent.agent.events import FinishReason, RunFinished

BASE = RunFinished(
    reason="submitted",
    detail="",
    answer="",
    patch="diff",
    verified=None,
    num_steps=1,
    num_prompt_tokens=0,
    num_cached_tokens=0,
    num_completion_tokens=0,
    duration_s=0.0,
)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"verified": True}, 0),
        ({"verified": False}, 6),
        ({"patch": ""}, 3),
        ({"reason": "answered", "patch": ""}, 3),
        ({"reason": "step_limit"}, 3),
        ({"reason": "step_limit", "verified": False}, 3),
        ({"reason": "time_limit", "verified": True}, 0),
        ({"reason": "loop", "patch": ""}, 3),
        ({"reason": "context_full", "patch": ""}, 3),
        ({"reason": "model_error"}, 5),
        ({"reason": "sandbox_error"}, 4),
        ({"reason": "interrupted", "verified": True}, 130),
        ({"reason": "internal_error"}, 1),
    ],
)
def test_a_fix(changes: dict[str, str | bool], code: int) -> None:
    assert exit_code(dataclasses.replace(BASE, **changes), needs_patch=True) == code


@pytest.mark.parametrize(("reason", "code"), [("answered", 0), ("submitted", 0), ("step_limit", 3)])
def test_a_task_without_a_patch(reason: FinishReason, code: int) -> None:
    assert exit_code(dataclasses.replace(BASE, reason=reason, patch=""), needs_patch=False) == code


@pytest.mark.parametrize("reason", get_args(FinishReason))
def test_every_reason_has_a_documented_code(reason: FinishReason) -> None:
    finished = dataclasses.replace(BASE, reason=reason)
    assert exit_code(finished, needs_patch=True) in {0, 1, 3, 4, 5, 6, 130}
