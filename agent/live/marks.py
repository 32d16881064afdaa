"""What can be gone back to: a fold over a session's events that remembers how each step began."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import (
    CommandStarted,
    Delivered,
    Event,
    FilesChanged,
    MessageFinished,
    Redone,
    Rewound,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from rnj_agent.agent.messages import SystemMessage, UserMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How things stood before a step, and before what was said right before it."""

    num_messages: int
    snapshot: str
    said: tuple[str, ...] = ()
    """By the person, between then and the step."""


class Marks:
    """Feed it every event, each with the length that the history has before the event."""

    def __init__(self) -> None:
        self.num_steps = 0
        """The highest number of a step so far."""
        self.num_commands = 0
        self.base = ""
        """The state of the copy at the start."""
        self.snapshot = ""
        """The state of the copy as it was kept last."""
        self.delivered = ""
        """The state that was delivered last; empty: none was."""
        self.system_prompt = ""
        """The one that the session began with: it is told again where all was undone."""
        self.started: RunStarted | None = None
        """The first run."""
        self.patch = ""
        """The session's diff as it was told last."""
        self.before_undo = ""
        """What ``redo`` goes back to; empty where there is nothing to take back."""
        self._marks: dict[int, Mark] = {}
        self._undone: dict[int, Mark] = {}
        self._mark = Mark(num_messages=0, snapshot="")
        self._is_settling = False
        self._is_between = False

    def before(self, step: int) -> Mark:
        """The mark of a step that stands.

        Raises:
            SessionError: there is no such step, it is undone, or its files were not kept.
        """
        mark = self._marks.get(step)
        if mark is None:
            what = "is undone already" if step in self._undone else "is not in this session"
            raise SessionError(f"step {step} {what}")
        if not mark.snapshot:
            raise SessionError(f"the files before step {step} were not kept")
        return mark

    def apply(self, event: Event, num_messages: int) -> None:
        match event:
            case RunFinished():
                self.patch = event.patch
            case RunStarted() | StepFinished():
                self._mark = Mark(num_messages=num_messages, snapshot=self.snapshot)
                self._is_settling = True
                self._is_between = isinstance(event, StepFinished)
                if isinstance(event, RunStarted):
                    self.started = self.started or event
                    self._mark = replace(self._mark, said=(event.task,))
                    self.before_undo = ""
            case StepStarted():
                self.num_steps = event.step
                self._marks[event.step] = self._mark
                self._is_settling = self._is_between = False
            case MessageFinished(message=UserMessage(content=content)) if self._is_between:
                self._is_settling = False
                self._mark = replace(self._mark, said=(*self._mark.said, content))
            case MessageFinished(message=SystemMessage(content=content)):
                self.system_prompt = self.system_prompt or content
            case CommandStarted():
                self.num_commands += 1
                self._is_settling, self.before_undo = False, ""
            case FilesChanged() | Rewound() | Redone() | Delivered():
                self._apply_files(event)
            case _:
                pass

    def _apply_files(self, event: FilesChanged | Rewound | Redone | Delivered) -> None:
        before, self.snapshot = self.snapshot, event.snapshot
        match event:
            case FilesChanged():
                self.base = self.base or event.snapshot
                if self._is_settling:
                    self._mark = replace(self._mark, snapshot=event.snapshot)
            case Rewound():
                self.before_undo, self.patch = before, event.patch
                self._undone = {n: mark for n, mark in self._marks.items() if n >= event.step}
                self._marks = {n: mark for n, mark in self._marks.items() if n < event.step}
            case Redone():
                self.before_undo, self.patch = "", event.patch
                self._marks |= self._undone
            case Delivered():
                self.delivered = event.snapshot
