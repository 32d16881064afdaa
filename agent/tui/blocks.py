"""What a conversation consists of on the screen: a list of frozen blocks.

A block that changes is replaced, so whoever draws one may keep what it drew for as long as it is
the same object.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from rnj_agent.agent.events import (
    CommandFinished,
    ContextCompacted,
    Delivered,
    FilesChanged,
    RunFinished,
    RunStarted,
    TestPhase,
    ToolCallFinished,
    VerificationFinished,
)
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.tui.output import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBlock:
    """What the run runs with."""

    event: RunStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class UserBlock:
    """What the person asked for."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldBlock:
    """What the loop told the model in the person's place: a correction, a reminder."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyBlock:
    """The model's words: Markdown."""

    text: str
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningBlock:
    text: str
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBlock:
    """One call of a tool, from its start to its end."""

    call: ToolCall
    repaired: tuple[str, ...] = ()
    output: Output = field(default_factory=Output)
    content: str = ""
    """What the model was told; empty until the call ends."""
    done: bool = False
    is_error: bool = False
    exit_code: int | None = None
    duration_s: float = 0.0

    def finished(self, event: ToolCallFinished) -> CallBlock:
        return replace(
            self,
            content=event.content,
            done=True,
            is_error=event.is_error,
            exit_code=event.exit_code,
            duration_s=event.duration_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandBlock:
    """A command of the person's own."""

    command: str
    output: Output = field(default_factory=Output)
    content: str = ""
    done: bool = False
    exit_code: int | None = None
    """None: it runs still, or was interrupted."""
    duration_s: float = 0.0

    def finished(self, event: CommandFinished) -> CommandBlock:
        return replace(
            self,
            content=event.content,
            done=True,
            exit_code=event.exit_code,
            duration_s=event.duration_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesBlock:
    """What a command did to the files."""

    event: FilesChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredBlock:
    event: Delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationBlock:
    """A run of the person's test command."""

    phase: TestPhase
    command: str
    output: str = ""
    done: bool = False
    passed: bool = False
    exit_code: int = 0
    duration_s: float = 0.0

    def finished(self, event: VerificationFinished) -> VerificationBlock:
        return replace(
            self,
            done=True,
            passed=event.passed,
            exit_code=event.exit_code,
            output=event.output,
            duration_s=event.duration_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeBlock:
    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionBlock:
    event: ContextCompacted


@dataclass(frozen=True, slots=True, kw_only=True)
class EndBlock:
    event: RunFinished


Block: TypeAlias = (
    StartBlock
    | UserBlock
    | ToldBlock
    | ReplyBlock
    | ReasoningBlock
    | CallBlock
    | CommandBlock
    | ChangesBlock
    | DeliveredBlock
    | VerificationBlock
    | NoticeBlock
    | CompactionBlock
    | EndBlock
)
