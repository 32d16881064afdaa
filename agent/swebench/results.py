"""What became of an instance and of each attempt at it, as the run directory keeps it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from rnj_agent.agent.events import FinishReason

ExitStatus: TypeAlias = (
    FinishReason  # how the loop ended
    | Literal["image_error"]  # the instance's image could not be had
)

REDONE: frozenset[ExitStatus] = frozenset({"interrupted", "internal_error"})
"""Ends that are ours and no result: the same command runs such an attempt again."""
ERRORS: frozenset[ExitStatus] = frozenset(
    {"model_error", "sandbox_error", "image_error", "internal_error", "interrupted"}
)
"""What ``--retry errors`` runs again."""
LIMITS: frozenset[ExitStatus] = frozenset(
    {"step_limit", "time_limit", "token_limit", "context_full", "format_errors", "loop"}
)
"""What ``--retry limits`` runs again."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AttemptResult(_Record):
    """One run of the loop over an instance."""

    attempt: int
    """From 1."""
    status: ExitStatus
    detail: str = ""
    """One line: why it ended."""
    patch_sha256: str = ""
    """Of the patch as it lies beside this; empty where there is none."""
    patch_bytes: int = 0
    num_steps: int = 0
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    num_completion_tokens: int = 0
    num_format_errors: int = 0
    model_s: float = 0.0
    commands_s: float = 0.0
    """In the sandbox, for the model's calls."""
    sandbox_s: float = 0.0
    """Starting and ending the sandbox."""
    image_s: float = 0.0
    """Waiting for the image: pulled or built."""
    paused_s: float = 0.0
    """Waiting for the model's server, which was away."""
    duration_s: float = 0.0
    """Of it all."""
    seed: int | None = None
    temperature: float | None = None
    started_at: str = ""
    """ISO 8601, UTC."""
    worker: str = ""
    """Host and process that ran it."""
    unusable: str = ""
    """Why its patch does not apply to a fresh copy; empty where it does, or was not tried."""
    tests_broken: int | None = None
    """Of the repository's own tests that passed before; None: not looked at."""


class InstanceResult(_Record):
    """All attempts at an instance, and which of them speaks for it. Written last, so an instance
    that has one is finished.
    """

    instance_id: str
    status: ExitStatus
    """Of the chosen attempt, else of the last one."""
    chosen: int | None
    """The attempt whose patch is the prediction; None: no attempt has a patch."""
    why: str = ""
    """One line: how the choice among several was made."""
    attempts: tuple[AttemptResult, ...]

    @property
    def is_final(self) -> bool:
        """Whether this is a result, and not an end that is ours."""
        return self.status not in REDONE


class Prediction(_Record):
    """One entry of ``preds.json``."""

    instance_id: str
    model_name_or_path: str
    model_patch: str


EvaluationStatus: TypeAlias = Literal[
    "resolved",
    "unresolved",
    "empty_patch",
    "not_applied",  # the patch does not apply
    "infra_failure",  # no verdict: the image, the engine or the script failed
    "time_limit",
]


class Evaluation(_Record):
    """Whether a prediction solves its instance."""

    instance_id: str
    status: EvaluationStatus
    detail: str = ""
    patch_sha256: str = ""
    """Of the patch that was judged: another one makes this record stale."""
    judge: Literal["local", "official"] = "local"
    fail_to_pass_passed: tuple[str, ...] = ()
    fail_to_pass_failed: tuple[str, ...] = ()
    pass_to_pass_failed: tuple[str, ...] = ()
    num_pass_to_pass: int = 0
    duration_s: float = 0.0
