"""Why a run ends: a value that steps return, and what an exception amounts to."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from rnj_agent.agent.errors import ContextOverflowError, ModelError, RnjError
from rnj_agent.agent.events import FinishReason
from rnj_agent.sandbox.errors import SandboxError


@dataclass(frozen=True, slots=True)
class Ending:
    reason: FinishReason
    detail: str
    """One line, in words."""
    answer: str = ""
    verified: bool | None = None


def ending_of(error: BaseException) -> Ending:
    """Translate what escaped from a step. What is nobody's fault but ours names its place."""
    match error:
        case ContextOverflowError():
            return Ending("context_full", _with_hint(error))
        case ModelError():
            return Ending("model_error", _with_hint(error))
        case SandboxError():
            return Ending("sandbox_error", _with_hint(error))
        case RnjError():
            return Ending("internal_error", _with_hint(error))
        case _:
            return Ending("internal_error", _with_place(error))


def _with_hint(error: RnjError | SandboxError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _with_place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"a bug in rnj-agent: {type(error).__name__}: {error}{place}"
