"""How a run ended, in mini-SWE-agent's words and in ours.

Theirs is one of a few names, or that of the exception that ended the run.
"""

from __future__ import annotations

from typing import Final

from rnj_agent.agent.events import FinishReason

_THEIRS: Final[dict[FinishReason, str]] = {
    "submitted": "Submitted",
    "answered": "Submitted",
    "step_limit": "LimitsExceeded",
    "token_limit": "LimitsExceeded",
    "time_limit": "TimeExceeded",
    "format_errors": "RepeatedFormatError",
    "loop": "RepeatedAction",  # they have no such guard
    "context_full": "ContextWindowExceededError",
    "model_error": "ModelError",
    "sandbox_error": "SandboxError",
    "interrupted": "KeyboardInterrupt",
    "internal_error": "InternalError",
}
_OURS: Final[dict[str, FinishReason]] = {
    "UserInterruption": "interrupted",
    **{theirs: ours for ours, theirs in reversed(_THEIRS.items())},
    # litellm's, by way of the class names that end a run of theirs
    "APIConnectionError": "model_error",
    "APIError": "model_error",
    "AuthenticationError": "model_error",
    "BadRequestError": "model_error",
    "InternalServerError": "model_error",
    "NotFoundError": "model_error",
    "PermissionDeniedError": "model_error",
    "RateLimitError": "model_error",
    "ServiceUnavailableError": "model_error",
    "Timeout": "model_error",
    # the engine's: a container that does not start, an image that does not come
    "CalledProcessError": "sandbox_error",
    "TimeoutExpired": "sandbox_error",
}


def to_exit_status(reason: FinishReason) -> str:
    return _THEIRS[reason]


def from_exit_status(exit_status: str) -> FinishReason:
    """Unknown exceptions are bugs of theirs; no status at all: it was not there yet."""
    if not exit_status:
        return "interrupted"
    return _OURS.get(exit_status, "internal_error")
