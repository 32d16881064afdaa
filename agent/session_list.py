"""Find sessions on disk and say in a line what each was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_json import event_from_json, kind_of
from rnj_agent.agent.events import Redone, Rewound, RunFinished, RunStarted
from rnj_agent.agent.session import EVENTS, sessions_dir

_TAIL_BYTES = 1024 * 1024
"""Where the last run ended before that (a huge patch, much output), the whole file is read."""
_RUN_KINDS = frozenset({"run_started", "run_finished"})
_PATCH_KINDS = frozenset({"run_finished", "rewound", "redone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    id: str
    directory: Path
    started: RunStarted | None
    """The first run; None: it died before."""
    finished: RunFinished | None
    """The last run's; None: it runs still, or it was killed."""
    patch: str = ""
    """The session's diff as it was told last."""


def list_sessions(parent: Path | None = None) -> list[SessionSummary]:
    """All sessions, newest first. One that cannot be read is there, without its events."""
    root = parent or sessions_dir()
    if not root.is_dir():
        return []
    directories = sorted((path for path in root.iterdir() if path.is_dir()), reverse=True)
    return [summarise(directory) for directory in directories]


def find_session(name: str, parent: Path | None = None) -> SessionSummary:
    """The session with this id, or the only one whose id begins or ends so; ``last``: the newest.

    Raises:
        SessionError: none, or several.
    """
    sessions = list_sessions(parent)
    if name == "last" and sessions:
        return sessions[0]
    found = [session for session in sessions if session.id == name] or [
        session for session in sessions if name and session.id.startswith(name)
    ] or [session for session in sessions if name and session.id.endswith(name)]  # fmt: skip
    if len(found) == 1:
        return found[0]
    if not sessions:
        raise SessionError(
            "there are no sessions yet", hint='rnj-agent fix --issue "what is wrong"'
        )
    what = "no session" if not found else f"{len(found)} sessions"
    raise SessionError(f"{what} named {name!r}", hint="rnj-agent sessions list")


def summarise(directory: Path) -> SessionSummary:
    """Read the beginning and the end only: the first run's task, and how the last one ended."""
    head, tail = _ends(directory / EVENTS)
    started = _event(next((line for line in head if kind_of(line) == "run_started"), b""))
    last_run = next((line for line in reversed(tail) if kind_of(line) in _RUN_KINDS), b"")
    finished = _event(last_run)
    stands = next((line for line in reversed(tail) if kind_of(line) in _PATCH_KINDS), b"")
    match _event(stands):
        case RunFinished() | Rewound() | Redone() as event:
            patch = event.patch
        case _:
            patch = ""
    return SessionSummary(
        id=directory.name,
        directory=directory,
        started=started if isinstance(started, RunStarted) else None,
        finished=finished if isinstance(finished, RunFinished) else None,
        patch=patch,
    )


def _ends(path: Path) -> tuple[list[bytes], list[bytes]]:
    """The first lines up to the first run's, and the last lines from the last run's end on."""
    try:
        with path.open("rb") as file:
            head = _head(file)
            size = file.seek(0, 2)
            tail = _tail(file, max(0, size - _TAIL_BYTES))
            if size > _TAIL_BYTES and not any(kind_of(line) in _RUN_KINDS for line in tail):
                tail = _tail(file, 0)
    except OSError:
        return [], []
    return head, tail


def _head(file: IO[bytes]) -> list[bytes]:
    head: list[bytes] = []
    while line := file.readline():
        head.append(line.rstrip(b"\n"))
        if kind_of(head[-1]) == "run_started":
            break
    return head


def _tail(file: IO[bytes], start: int) -> list[bytes]:
    """The whole lines from there on."""
    file.seek(start)
    *lines, _torn = file.read().split(b"\n")
    return lines[1:] if start else lines


def _event(line: bytes) -> object:
    try:
        return event_from_json(line) if line else None
    except SessionError:
        return None
