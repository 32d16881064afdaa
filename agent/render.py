"""Headless output: two folds over the event stream, text for people and JSON lines for programs.

Text goes to stderr, so that stdout carries the result alone. What models and commands write is
shown without its control characters: it must not drive the person's terminal.
"""

from __future__ import annotations

from typing import IO, Final, Protocol, assert_never

from rich.console import Console
from rich.text import Text

from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    ContextCompacted,
    Delivered,
    Event,
    FilesChanged,
    MessageFinished,
    Notice,
    ReasoningDelta,
    Redone,
    Rewound,
    RunFinished,
    RunStarted,
    StartedOver,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.status_line import StatusLine
from rnj_agent.agent.wording import (
    counted,
    describe_call,
    describe_compaction,
    describe_end,
    describe_new_start,
    describe_usage,
    printable,
)

_MAX_LINES: Final = 12
"""Lines of one command's output that are shown; the session keeps the rest."""
_MAX_COLUMNS: Final = 300
_LEVELS: Final = {"info": "cyan", "warning": "yellow", "error": "red"}


class Renderer(Protocol):
    """Consumes every event of one run in order."""

    def __call__(self, event: Event) -> None: ...

    def tick(self) -> None:
        """Called about once a second, also while nothing happens."""
        ...

    def pause(self) -> None:
        """Redraw nothing until the next event: a question is being asked."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class JsonRenderer:
    """One JSON object a line, flushed at once."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        print(event_to_json(event), file=self._stream, flush=True)

    def tick(self) -> None:
        """A reader of JSON lines needs no sign of life."""

    def pause(self) -> None:
        """Nothing is redrawn."""

    def close(self) -> None:
        """Nothing is held."""


class TextRenderer:
    """What a person reads while it runs: steps, the model's words, commands and what came of them.

    On a terminal a status line shows what is waited for; elsewhere a line now and then does.
    """

    def __init__(self, console: Console, *, live: bool = True) -> None:
        self._console = console
        self._status = StatusLine(console if live else None, lambda line: self._line(line, "dim"))
        self._at_line_start = True
        self._output = _OutputLines()

    def __call__(self, event: Event) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                self._status.stop()
                self._stream(event.text, style="dim" if isinstance(event, ReasoningDelta) else "")
            case ToolOutputDelta():
                self._status.stop()
                for line in self._output.feed(event.text):
                    self._line(f"  {line}", "dim")
            case MessageFinished() | StepFinished():
                self._status.stop()
                self._end_line()
            case (
                RunStarted()
                | StepStarted()
                | ToolCallStarted()
                | ToolCallFinished()
                | VerificationStarted()
            ):
                self._progress(event)
            case (
                UsageUpdated()
                | ContextCompacted()
                | StartedOver()
                | VerificationFinished()
                | Notice()
                | RunFinished()
            ):
                self._outcome(event)
            case (
                CommandStarted()
                | CommandFinished()
                | FilesChanged()
                | Rewound()
                | Redone()
                | Delivered()
            ):
                self._by_the_person(event)
            case _:
                assert_never(event)

    def tick(self) -> None:
        self._status.tick()

    def pause(self) -> None:
        self._status.stop()
        self._end_line()

    def close(self) -> None:
        self.pause()

    def _progress(
        self,
        event: RunStarted | StepStarted | ToolCallStarted | ToolCallFinished | VerificationStarted,
    ) -> None:
        match event:
            case RunStarted():
                self._line(
                    f"{event.model} at {event.endpoint} · window {event.context_window:,} · "
                    f"{event.protocol} · sandbox {event.sandbox} · session {event.session_id}",
                    "dim",
                )
            case StepStarted():
                about = "" if event.exact else "about "
                self._line(f"step {event.step}", "bold")
                self._status.wait(f"the model reads {about}{event.num_prompt_tokens:,} tokens")
            case ToolCallStarted():
                for repair in event.repaired:
                    self._line(f"  repaired: {repair}", "dim")
                self._line(describe_call(event.call), "cyan")
                self._output = _OutputLines()
                self._status.wait("running")
            case ToolCallFinished():
                self._finish_call(event)
            case VerificationStarted():
                self._line(f"test ({event.phase}): {event.command}", "cyan")
                self._status.wait("testing")

    def _finish_call(self, event: ToolCallFinished) -> None:
        self._status.stop()
        self._finish_output(event.content)
        code = "" if event.exit_code is None else f"exit {event.exit_code} · "
        style = "yellow" if event.is_error or event.exit_code else "green"
        self._line(f"  {code}{event.duration_s:.1f} s", style)

    def _finish_output(self, told: str) -> None:
        for line in self._output.finish():
            self._line(f"  {line}", "dim")
        if not self._output.num_lines:  # a tool that streams nothing: show what the model is told
            for line in told.splitlines()[:_MAX_LINES]:
                self._line(f"  {line}", "dim")

    def _outcome(
        self,
        event: UsageUpdated
        | ContextCompacted
        | StartedOver
        | VerificationFinished
        | Notice
        | RunFinished,
    ) -> None:
        self._status.stop()
        match event:
            case UsageUpdated():
                self._line(describe_usage(event), "dim")
            case ContextCompacted():
                self._line(f"context: {describe_compaction(event)}", "yellow")
            case StartedOver():
                self._line(describe_new_start(event), "bold yellow")
            case VerificationFinished():
                verdict = "passed" if event.passed else f"failed (exit {event.exit_code})"
                if not event.passed:
                    for line in event.output.splitlines()[-_MAX_LINES:]:
                        self._line(f"  {line}", "dim")
                style = "green" if event.passed else "yellow"
                self._line(f"test ({event.phase}): {verdict} · {event.duration_s:.1f} s", style)
            case Notice():
                self._line(f"{event.level}: {event.text}", _LEVELS[event.level])
            case RunFinished():
                self._line(describe_end(event), "bold")

    def _by_the_person(
        self,
        event: CommandStarted | CommandFinished | FilesChanged | Rewound | Redone | Delivered,
    ) -> None:
        """What happens in an interactive session alone."""
        self._status.stop()
        match event:
            case CommandStarted():
                self._line(f"! {event.command}", "cyan")
                self._output = _OutputLines()
            case CommandFinished():
                self._finish_output(event.content)
                self._line(f"  exit {event.exit_code} · {event.duration_s:.1f} s", "dim")
            case FilesChanged():
                if event.num_files:
                    self._line(f"  {counted(event.num_files, 'file')} changed", "dim")
            case Rewound():
                self._line(f"undone from step {event.step} on", "yellow")
            case Redone():
                self._line("done again", "yellow")
            case Delivered():
                self._line(event.detail, "green")

    def _stream(self, text: str, *, style: str) -> None:
        shown = printable(text)
        if shown:
            self._console.print(Text(shown, style=style), end="", soft_wrap=True)
            self._at_line_start = shown.endswith("\n")

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        self._console.print(Text(printable(text)[:_MAX_COLUMNS], style=style), soft_wrap=True)

    def _end_line(self) -> None:
        if not self._at_line_start:
            self._console.print()
            self._at_line_start = True


class _OutputLines:
    """The first lines of one command's output, and how many more there were."""

    def __init__(self) -> None:
        self.num_lines = 0
        self._partial = ""

    def feed(self, text: str) -> list[str]:
        """The whole lines to show now."""
        *lines, rest = (self._partial + text).split("\n")
        self._partial = rest[:_MAX_COLUMNS]  # a line without an end must not grow without bound
        return self._take(lines)

    def finish(self) -> list[str]:
        lines = self._take([self._partial] if self._partial else [])
        hidden = self.num_lines - _MAX_LINES
        return [*lines, f"… {hidden:,} more lines"] if hidden > 0 else lines

    def _take(self, lines: list[str]) -> list[str]:
        room = max(0, _MAX_LINES - self.num_lines)
        self.num_lines += len(lines)
        return lines[:room]
