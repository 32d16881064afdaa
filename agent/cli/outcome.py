"""What the shell is told about a run: its exit code."""

from __future__ import annotations

from typing import assert_never

from rnj_agent.agent.events import RunFinished


def exit_code(finished: RunFinished, *, needs_patch: bool) -> int:
    """0 only where what was asked for is there, and passed the test command if there is one."""
    match finished.reason:
        case "interrupted":
            return 130
        case "internal_error":
            return 1
        case "sandbox_error":
            return 4
        case "model_error":
            return 5
        case "answered":
            return 3 if needs_patch else 0
        case "submitted":
            return _patch_code(finished) if needs_patch else 0
        case (
            "step_limit" | "time_limit" | "token_limit" | "format_errors" | "loop" | "context_full"
        ):
            # A patch that passed its test is good, whatever ended the run.
            return 0 if needs_patch and finished.patch and finished.verified else 3
        case _:
            assert_never(finished.reason)


def _patch_code(finished: RunFinished) -> int:
    if not finished.patch:
        return 3
    return 6 if finished.verified is False else 0
