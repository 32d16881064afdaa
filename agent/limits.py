"""How much one run may use, and how much it has used."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.ending import Ending
from rnj_agent.agent.events import UsageUpdated
from rnj_agent.agent.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_steps: int = 50
    max_wall_s: float = 3600.0
    """Of the whole run; a step under way is interrupted."""
    max_tokens: int | None = None
    """Prompt and completion tokens of all steps together; None: no bound."""
    max_reply_tokens: int = 2048
    """Of one reply; never more than a quarter of the model's window."""
    max_format_errors: int = 4
    """Replies in a row from which no call can be read."""
    max_rejections: int = 2
    """Submissions sent back with evidence; the next one is taken as it is."""
    command_timeout_s: float = 60.0


@dataclass(slots=True)
class Spent:
    """What a run has used so far."""

    num_steps_before: int = 0
    """Of the session, before this run."""
    num_steps: int = 0
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    num_completion_tokens: int = 0
    num_format_errors: int = 0
    """In a row."""
    num_rejections: int = 0

    @property
    def step(self) -> int:
        """The number of the last step, counted through the session."""
        return self.num_steps_before + self.num_steps

    def add(self, usage: UsageUpdated) -> None:
        self.num_prompt_tokens += usage.num_prompt_tokens
        self.num_cached_tokens += usage.num_cached_tokens
        self.num_completion_tokens += usage.num_completion_tokens


def exceeded(spent: Spent, limits: Limits) -> Ending | None:
    """The limit that forbids another step, if any. Wall time is watched by the loop's clock."""
    num_tokens = spent.num_prompt_tokens + spent.num_completion_tokens
    if spent.num_format_errors >= limits.max_format_errors:
        return Ending(
            "format_errors",
            f"{spent.num_format_errors} replies in a row held no call that could be read",
        )
    if spent.num_steps >= limits.max_steps:
        return Ending("step_limit", f"reached the limit of {counted(limits.max_steps, 'step')}")
    if limits.max_tokens is not None and num_tokens >= limits.max_tokens:
        return Ending(
            "token_limit", f"used {num_tokens:,} tokens, the limit is {limits.max_tokens:,}"
        )
    return None
