"""What the record of an attempt says of its events: counts and times. Renders nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnj_agent.agent.events import (
    Event,
    MessageFinished,
    StepFinished,
    StepStarted,
    UsageUpdated,
)
from rnj_agent.agent.messages import UserMessage
from rnj_agent.agent.swebench.activity import Board


@dataclass(slots=True)
class TrialTally:
    """Implements ``Renderer``."""

    board: Board
    instance_id: str
    attempt: int
    num_steps: int = field(default=0, init=False)
    num_prompt_tokens: int = field(default=0, init=False)
    num_cached_tokens: int = field(default=0, init=False)
    num_completion_tokens: int = field(default=0, init=False)
    model_s: float = field(default=0.0, init=False)
    commands_s: float = field(default=0.0, init=False)
    _num_user_messages: int = field(default=0, init=False)

    @property
    def num_corrections(self) -> int:
        """Replies without a call that could be read: each is answered by a user message."""
        return max(0, self._num_user_messages - 1)

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self.num_steps += 1
                self.board.doing(self.instance_id, self.attempt, f"step {event.step}")
            case UsageUpdated():
                self.num_prompt_tokens += event.num_prompt_tokens
                self.num_cached_tokens += event.num_cached_tokens
                self.num_completion_tokens += event.num_completion_tokens
            case StepFinished():
                self.model_s += event.model_s
                self.commands_s += event.tools_s
            case MessageFinished(message=UserMessage()):
                self._num_user_messages += 1
            case _:
                pass

    def tick(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...
