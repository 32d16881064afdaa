"""A saved session written out: its events, its patch, or Markdown without what was undone; or as
the trajectory that mini-SWE-agent would have saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    Delivered,
    Event,
    FilesChanged,
    MessageFinished,
    RunFinished,
    RunStarted,
    StartedOver,
    StepFinished,
    StepStarted,
    ToolCallFinished,
    ToolCallStarted,
)
from rnj_agent.agent.interchange.mini_export import to_mini
from rnj_agent.agent.messages import AssistantMessage, UserMessage
from rnj_agent.agent.rewinding import standing
from rnj_agent.agent.session import read_events
from rnj_agent.agent.session_list import SessionSummary
from rnj_agent.agent.wording import describe_call, describe_end, describe_new_start, printable

ExportForm: TypeAlias = Literal["markdown", "jsonl", "patch", "mini-swe-agent"]
FORMS: Final[tuple[ExportForm, ...]] = ("markdown", "jsonl", "patch", "mini-swe-agent")


def export_session(session: SessionSummary, form: ExportForm) -> bytes:
    """A saved session in one of the forms.

    Raises:
        SessionError: it cannot be read.
    """
    match form:
        case "markdown":
            text = to_markdown(read_events(session.directory))
        case "jsonl":
            text = "".join(f"{event_to_json(event)}\n" for event in read_events(session.directory))
        case "patch":
            text = session.patch
        case "mini-swe-agent":
            text = to_mini(read_events(session.directory))
    return text.encode("utf-8", "surrogateescape")


def to_markdown(events: Iterable[Event]) -> str:
    """The conversation: what was asked, said, run and changed."""
    parts: list[str] = []
    is_between = False
    for event in standing(events):
        parts += _render(event, is_between)
        match event:
            case StepFinished():
                is_between = True
            case StepStarted() | RunStarted():
                is_between = False
            case _:
                pass
    return "\n\n".join(parts) + "\n"


def _render(event: Event, is_between: bool) -> list[str]:
    parts: list[str] = []
    match event:
        case RunStarted():
            parts = [f"# {_title(event.task)}", event.task.strip(), f"*{_about(event)}*"]
        case MessageFinished(message=AssistantMessage(content=content)):
            parts = [content.strip()]
        case MessageFinished(message=UserMessage(content=content)) if is_between:
            parts = [_quoted(content.strip())]
        case ToolCallStarted():
            parts = [_fenced(describe_call(event.call), "console")]
        case CommandStarted():
            parts = [_fenced(f"! {event.command}", "console")]
        case ToolCallFinished() | CommandFinished():
            parts = [_fenced(event.content, "text")]
        case FilesChanged(patch=patch) if patch:
            parts = [_fenced(patch, "diff")]
        case Delivered() | StartedOver() | RunFinished():
            parts = _remarks(event)
        case _:
            pass
    return [part for part in parts if part]


def _remarks(event: Delivered | StartedOver | RunFinished) -> list[str]:
    match event:
        case Delivered():
            return [f"*{event.detail}*"]
        case StartedOver():
            return [f"*{describe_new_start(event)}*", _quoted(event.note)]
        case RunFinished():
            return [f"*{describe_end(event)}*"]


def _title(task: str) -> str:
    return printable(task.strip().partition("\n")[0])[:80] or "Session"


def _about(event: RunStarted) -> str:
    return f"{event.started_at} · {event.model} · {event.cwd} · sandbox {event.sandbox}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def _fenced(text: str, language: str) -> str:
    """In a fence that is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{printable(text).rstrip()}\n{fence}"
