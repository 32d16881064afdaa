"""What a killed session lacks, so that it can go on: the ends of what had begun."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    Event,
    MessageFinished,
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
from rnj_agent.agent.feedback import INTERRUPTED
from rnj_agent.agent.interrupted_reply import interrupted_reply
from rnj_agent.agent.limits import Spent
from rnj_agent.agent.messages import AssistantMessage, ToolCall


@dataclass(slots=True)
class OpenEnds:
    """A fold: what has begun and not ended."""

    _in_run: bool = False
    _step: int | None = None
    _has_replied: bool = False
    """In the step."""
    _said: str = ""
    """Of a reply that is being written."""
    _thought: str = ""
    _calls: list[ToolCall] = field(default_factory=list[ToolCall])
    """Asked for and not answered."""
    _started_calls: set[str] = field(default_factory=set[str])
    _command: CommandStarted | None = None
    _verification: VerificationStarted | None = None
    _spent: Spent = field(default_factory=Spent)

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._in_run, self._spent = True, Spent()
            case RunFinished():
                self._in_run = False
            case StepStarted():
                self._step, self._has_replied = event.step, False
                self._said = self._thought = ""
                self._spent.num_steps += 1
            case StepFinished():
                self._step = None
            case TextDelta() | ReasoningDelta():
                self._apply_words(event)
            case UsageUpdated():
                self._spent.add(event)
            case VerificationStarted() | VerificationFinished():
                self._verification = event if isinstance(event, VerificationStarted) else None
            case CommandStarted() | CommandFinished():
                self._command = event if isinstance(event, CommandStarted) else None
            case MessageFinished() | ToolCallStarted() | ToolCallFinished():
                self._apply_call(event)
            case _:
                pass

    def _apply_words(self, event: TextDelta | ReasoningDelta) -> None:
        match event:
            case TextDelta():
                self._said += event.text
            case ReasoningDelta():
                self._thought += event.text

    def _apply_call(self, event: MessageFinished | ToolCallStarted | ToolCallFinished) -> None:
        match event:
            case MessageFinished(message=AssistantMessage(tool_calls=calls)):
                self._calls, self._has_replied = list(calls), True
            case ToolCallStarted():
                self._started_calls.add(event.call.id)
                if event.call not in self._calls:  # the text protocol's calls are in no message
                    self._calls.append(event.call)
            case ToolCallFinished():
                self._calls = [call for call in self._calls if call.id != event.call_id]
            case _:
                pass

    def ends(self, patch: str) -> list[Event]:
        """What has to be appended; ``patch`` is what is known of the session's."""
        found: list[Event] = []
        if self._step is not None and not self._has_replied:
            said = interrupted_reply(self._said, self._thought)
            found.append(MessageFinished(message=said, finish_reason="interrupted"))
        if self._verification is not None:
            found.append(
                VerificationFinished(
                    phase=self._verification.phase,
                    passed=False,
                    exit_code=130,
                    output=INTERRUPTED,
                    duration_s=0.0,
                )
            )
        for call in self._calls:
            if call.id not in self._started_calls:
                found.append(ToolCallStarted(call=call))
            found.append(ToolCallFinished(call_id=call.id, content=INTERRUPTED, is_error=True))
        if self._command is not None:
            found.append(
                CommandFinished(
                    command_id=self._command.command_id,
                    content=command_told(self._command.command, INTERRUPTED),
                    exit_code=None,
                    duration_s=0.0,
                )
            )
        if self._step is not None:
            found.append(StepFinished(step=self._step, model_s=0.0, tools_s=0.0, own_s=0.0))
        if self._in_run:
            found.append(self._run_finished(patch))
        return found

    def _run_finished(self, patch: str) -> RunFinished:
        spent = self._spent
        return RunFinished(
            reason="interrupted",
            detail="the session was killed",
            answer="",
            patch=patch,
            verified=None,
            num_steps=spent.num_steps,
            num_prompt_tokens=spent.num_prompt_tokens,
            num_cached_tokens=spent.num_cached_tokens,
            num_completion_tokens=spent.num_completion_tokens,
            duration_s=0.0,
        )


def command_told(command: str, result: str) -> str:
    """What the model reads of a command that the person ran."""
    return f"The user ran this in the shell:\n$ {command}\n{result}"
