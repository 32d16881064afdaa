"""Several runs at once on one screen or in one stream of JSON lines: each line says whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Final, Protocol

from rich.console import Console
from rich.text import Text

from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import (
    Event,
    Notice,
    RunFinished,
    RunStarted,
    StepStarted,
    ToolCallFinished,
    ToolCallStarted,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.status_line import StatusLine
from rnj_agent.agent.wording import describe_call, describe_end, printable

_MAX_COLUMNS: Final = 200
_LEVELS: Final = {"info": "cyan", "warning": "yellow", "error": "red"}


class Display(Protocol):
    """Consumes every event of every attempt."""

    def show(self, attempt: int, event: Event) -> None: ...

    def tick(self) -> None:
        """Called now and then, also while nothing happens."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class AttemptRenderer:
    """One attempt's part of the displays. Implements ``Renderer``."""

    def __init__(self, attempt: int, displays: Sequence[Display]) -> None:
        self._attempt = attempt
        self._displays = displays

    def __call__(self, event: Event) -> None:
        for display in self._displays:
            display.show(self._attempt, event)

    def tick(self) -> None:
        for display in self._displays:
            display.tick()

    def pause(self) -> None:
        """Nobody is asked while several attempts run."""

    def close(self) -> None:
        """The others go on."""


class JsonDisplay:
    """One JSON object a line: an event with the number of its attempt as its first field."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def show(self, attempt: int, event: Event) -> None:
        fields = event_to_json(event).removeprefix("{")
        print(f'{{"attempt":{attempt},{fields}', file=self._stream, flush=True)

    def tick(self) -> None:
        """A reader of JSON lines needs no sign of life."""

    def close(self) -> None:
        """Nothing is held."""


class LinesDisplay:
    """What a person reads: commands and how they ended, not what the models say or commands print.

    The sessions keep all of it. On a terminal a line below says where each attempt is.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = StatusLine(console, lambda line: self._print(line, "dim"))
        self._where: dict[int, str] = {}

    def show(self, attempt: int, event: Event) -> None:
        where = _where(event)
        if where:
            self._where[attempt] = where
        line = _line(attempt, event)
        if line is not None:
            self._status.stop()
            self._print(f"[{attempt}] {line[0]}", line[1])
        if where or line:
            stands = (f"[{number}] {self._where[number]}" for number in sorted(self._where))
            self._status.wait(" · ".join(stands))

    def tick(self) -> None:
        self._status.tick()

    def close(self) -> None:
        self._status.stop()

    def _print(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text)[:_MAX_COLUMNS], style=style), soft_wrap=True)


def _where(event: Event) -> str:
    """What the attempt does from now on, in a word or two; empty: as before."""
    match event:
        case RunStarted():
            return "begins"
        case StepStarted():
            return f"step {event.step}"
        case RunFinished():
            return "verified" if event.verified else event.reason.replace("_", " ")
        case _:
            return ""


def _line(attempt: int, event: Event) -> tuple[str, str] | None:
    """Text and style; None for what is not shown."""
    match event:
        case RunStarted():
            text = f"{event.model} at {event.endpoint} · sandbox {event.sandbox} · "
            return f"{text}session {event.session_id}", "dim"
        case ToolCallStarted():
            return describe_call(event.call).replace("\n", " ⏎ "), "cyan"
        case ToolCallFinished():
            code = "" if event.exit_code is None else f"exit {event.exit_code} · "
            style = "yellow" if event.is_error or event.exit_code else "green"
            return f"  {code}{event.duration_s:.1f} s", style
        case VerificationStarted(phase="before") | VerificationFinished(phase="before"):
            return None  # shown once, while the attempts are prepared
        case VerificationFinished():
            verdict = "passed" if event.passed else f"failed (exit {event.exit_code})"
            return f"test ({event.phase}): {verdict}", "green" if event.passed else "yellow"
        case Notice():
            return f"{event.level}: {event.text}", _LEVELS[event.level]
        case RunFinished():
            return describe_end(event), "bold"
        case _:
            return None
