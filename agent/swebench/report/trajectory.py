"""A trajectory for reading: what was asked, said, run and told, shortened to fit a page.

Of an event log only its beginning and its end are read, so a log of a gigabyte costs no more than
one of a few megabytes. What is left out in between is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_json import event_from_json, kind_of
from rnj_agent.agent.events import (
    ContextCompacted,
    Event,
    MessageFinished,
    Notice,
    RunFinished,
    StartedOver,
    StepStarted,
    ToolCallFinished,
    ToolCallStarted,
)
from rnj_agent.agent.messages import AssistantMessage, UserMessage
from rnj_agent.agent.session import EVENTS
from rnj_agent.agent.wording import (
    describe_call,
    describe_compaction,
    describe_new_start,
    printable,
)

_WINDOW_BYTES: Final = 1024 * 1024
"""At either end of a log."""
_KINDS: Final = frozenset(
    {
        "step_started",
        "message_finished",
        "tool_call_started",
        "tool_call_finished",
        "context_compacted",
        "started_over",
        "notice",
        "run_finished",
    }
)
_ERROR: Final = re.compile(r"(Error|Exception|Warning)\b|: error|not found|No such file")

EntryKind: TypeAlias = Literal["task", "said", "thought", "ran", "told", "note", "end", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    kind: EntryKind
    text: str
    step: int = 0
    """0: before the first."""
    exit_code: int | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    entries: tuple[Entry, ...]
    size_bytes: int
    """Of the whole log."""
    is_whole: bool
    """Whether nothing was left out or shortened."""

    @property
    def last_error(self) -> str:
        """Of the last output of a command that failed: the last line that names an error, else
        its last line.
        """
        outputs = (entry.text for entry in reversed(self.entries) if entry.is_error)
        lines = [line.strip() for line in next(outputs, "").splitlines() if line.strip()]
        named = (line for line in reversed(lines) if _ERROR.search(line))
        return next(named, lines[-1] if lines else "")


def read_trajectory(directory: Path, *, max_chars: int) -> Trajectory:
    """An attempt's log; without entries where there is none.

    Args:
        directory: of the attempt.
        max_chars: of all texts together, about; half for the beginning, half for the end.
    """
    try:
        first, last, size_bytes = _ends(directory / EVENTS)
    except OSError:
        return Trajectory(entries=(), size_bytes=0, is_whole=True)
    most_chars = max_chars // 16
    head, num_read = _begin(first, max_chars // 2, most_chars)
    between = first[num_read:]
    tail, num_read_of_tail = _end(last or between, max_chars // 2, most_chars)
    is_gapless = not last and num_read_of_tail == len(between)
    entries = [*_entries(_events(head))]
    behind = [*_entries(_events(tail), step=entries[-1].step if is_gapless and entries else 0)]
    if not is_gapless:
        entries.append(_gap(entries, behind))
    whole = [*entries, *behind]
    shown = tuple(_shortened(entry, most_chars) for entry in whole)
    is_whole = is_gapless and list(shown) == whole
    return Trajectory(entries=shown, size_bytes=size_bytes, is_whole=is_whole)


def _ends(path: Path) -> tuple[list[bytes], list[bytes], int]:
    """The lines that matter of a log's beginning and of its end, and its size in bytes.

    A log that fits into both is all beginning.
    """
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        if size_bytes <= 2 * _WINDOW_BYTES:
            return _lines(file.read().split(b"\n")[:-1]), [], size_bytes
        first = _lines(file.read(_WINDOW_BYTES).split(b"\n")[:-1])
        file.seek(size_bytes - _WINDOW_BYTES)
        return first, _lines(file.read().split(b"\n")[1:-1]), size_bytes


def _lines(lines: Iterable[bytes]) -> list[bytes]:
    """Those whose events are shown: most are pieces of what another one has as a whole."""
    return [line for line in lines if kind_of(line) in _KINDS]


def _begin(lines: Sequence[bytes], max_chars: int, most_chars: int) -> tuple[list[bytes], int]:
    """The first lines that fit, and how many they are; of a long one ``most_chars`` count."""
    num_chars = 0
    for number, line in enumerate(lines):
        num_chars += min(most_chars, len(line))
        if num_chars > max_chars:
            return list(lines[:number]), number
    return list(lines), len(lines)


def _end(lines: Sequence[bytes], max_chars: int, most_chars: int) -> tuple[list[bytes], int]:
    """The last lines that fit, from a step's start on, and how many they are."""
    found, number = _begin(lines[::-1], max_chars, most_chars)
    if number < len(lines):
        while found and kind_of(found[-1]) != "step_started":
            found.pop()
    return found[::-1], len(found)


def _gap(before: Sequence[Entry], behind: Sequence[Entry]) -> Entry:
    """What was left out between, in words."""
    first = max((entry.step for entry in before), default=0) + 1
    steps = [entry.step for entry in behind if entry.step]
    if not steps:
        return Entry(kind="gap", text="the rest of the log")
    last = min(steps) - 1
    return Entry(kind="gap", text=f"steps {first:,} to {last:,}" if first < last else "a part")


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events that are shown; a line that is none is passed over."""
    for line in lines:
        try:
            yield event_from_json(line)
        except SessionError:
            continue


def _entries(events: Iterable[Event], step: int = 0) -> Iterator[Entry]:
    for event in events:
        if isinstance(event, StepStarted):
            step = event.step
        yield from _shown(event, step)


def _shown(event: Event, step: int) -> Iterator[Entry]:
    match event:
        case MessageFinished(message=AssistantMessage() as message):
            yield from _said(message, step)
        case MessageFinished(message=UserMessage(content=content)):
            yield Entry(kind="told" if step else "task", text=_clean(content), step=step)
        case ToolCallStarted():
            yield Entry(kind="ran", text=_clean(describe_call(event.call)), step=step)
        case ToolCallFinished():
            yield _told(event, step)
        case Notice():
            yield Entry(kind="note", text=_clean(event.text), step=step)
        case ContextCompacted():
            yield Entry(kind="note", text=describe_compaction(event), step=step)
        case StartedOver():
            words = f"{describe_new_start(event)}\n{event.note}"
            yield Entry(kind="note", text=_clean(words), step=step)
        case RunFinished():
            yield Entry(kind="end", text=_clean(f"{event.reason}: {event.detail}"), step=step)
        case _:
            pass


def _said(message: AssistantMessage, step: int) -> Iterator[Entry]:
    if message.reasoning.strip():
        yield Entry(kind="thought", text=_clean(message.reasoning), step=step)
    if message.content.strip():
        yield Entry(kind="said", text=_clean(message.content), step=step)


def _told(event: ToolCallFinished, step: int) -> Entry:
    return Entry(
        kind="told",
        text=_clean(event.content),
        step=step,
        exit_code=event.exit_code,
        is_error=event.is_error or bool(event.exit_code),
    )


def _clean(text: str) -> str:
    return printable(text).strip("\n")


def _shortened(entry: Entry, max_chars: int) -> Entry:
    """With the middle of its text left out where that is long."""
    num_left_out = len(entry.text) - max_chars
    if num_left_out <= 0:
        return entry
    half = max_chars // 2
    words = f"\n… {num_left_out:,} characters …\n"
    return Entry(
        kind=entry.kind,
        text=entry.text[:half] + words + entry.text[-half:],
        step=entry.step,
        exit_code=entry.exit_code,
        is_error=entry.is_error,
    )
