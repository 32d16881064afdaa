"""The facts of the status line, as a fold over events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    ContextCompacted,
    Event,
    ReasoningDelta,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    UsageUpdated,
    VerificationFinished,
    VerificationStarted,
)

Activity: TypeAlias = Literal["idle", "reading", "writing", "running", "testing"]
"""What is being waited for: the model reads the prompt, writes; a command or the tests run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    session_id: str = ""
    model: str = ""
    sandbox: str = ""
    context_window: int = 0
    """Tokens."""
    num_context_tokens: int = 0
    """That the next prompt is known to hold."""
    exact: bool = True
    """Whether that count is the tokenizer's, not an estimate."""
    num_prompt_tokens: int = 0
    """Of all model calls of this session."""
    num_cached_tokens: int = 0
    tokens_per_s: float = 0.0
    """Of the last reply."""
    step: int = 0
    activity: Activity = "idle"
    is_running: bool = False
    """Between RunStarted and RunFinished."""

    @property
    def cached_share(self) -> float:
        """Of all prompt tokens, how many did not have to be computed again."""
        return self.num_cached_tokens / self.num_prompt_tokens if self.num_prompt_tokens else 0.0


def progress_after(progress: Progress, event: Event) -> Progress:
    """The progress once ``event`` has happened."""
    match event:
        case RunStarted():
            return replace(
                progress,
                session_id=event.session_id,
                model=event.model,
                sandbox=event.sandbox,
                context_window=event.context_window,
                step=0,
                is_running=True,
            )
        case StepStarted():
            return replace(
                progress,
                step=event.step,
                num_context_tokens=event.num_prompt_tokens,
                exact=event.exact,
                activity="reading",
            )
        case TextDelta() | ReasoningDelta():
            if progress.activity == "writing":  # thousands come: they change nothing more
                return progress
            return replace(progress, activity="writing")
        case UsageUpdated():
            return _counted(progress, event)
        case ContextCompacted():
            return replace(progress, num_context_tokens=event.num_tokens_after)
        case _:
            return _acted(progress, event)


def _counted(progress: Progress, event: UsageUpdated) -> Progress:
    return replace(
        progress,
        num_context_tokens=event.num_prompt_tokens + event.num_completion_tokens,
        exact=event.exact,
        num_prompt_tokens=progress.num_prompt_tokens + event.num_prompt_tokens,
        num_cached_tokens=progress.num_cached_tokens + event.num_cached_tokens,
        tokens_per_s=event.tokens_per_s,
    )


def _acted(progress: Progress, event: Event) -> Progress:
    match event:
        case ToolCallStarted() | CommandStarted():
            return replace(progress, activity="running")
        case VerificationStarted():
            return replace(progress, activity="testing")
        case ToolCallFinished() | CommandFinished() | VerificationFinished() | StepFinished():
            return replace(progress, activity="idle")
        case RunFinished():
            return replace(progress, activity="idle", is_running=False)
        case _:
            return progress
