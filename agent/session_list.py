"""Find sessions on disk and say in a line what each was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_json import event_from_json
from rnj_agent.agent.events import RunFinished, RunStarted
from rnj_agent.agent.session import sessions_dir

_TAIL_BYTES = 1024 * 1024
"""A last line longer than this (a huge patch) is read by reading the whole file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    id: str
    directory: Path
    started: RunStarted | None
    """None: it died before its first event."""
    finished: RunFinished | None
    """None: it runs still, or it was killed."""


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
    """Read the first and the last event only."""
    first, last = _ends(directory / "events.jsonl")
    started, finished = _event(first), _event(last)
    return SessionSummary(
        id=directory.name,
        directory=directory,
        started=started if isinstance(started, RunStarted) else None,
        finished=finished if isinstance(finished, RunFinished) else None,
    )


def _ends(path: Path) -> tuple[bytes, bytes]:
    try:
        with path.open("rb") as file:
            first = file.readline()
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            if b"\n" not in tail[:-1] and size > _TAIL_BYTES:
                file.seek(0)
                tail = file.read()
    except OSError:
        return b"", b""
    return first, tail.rstrip(b"\n").rpartition(b"\n")[2] if tail.endswith(b"\n") else b""


def _event(line: bytes) -> object:
    try:
        return event_from_json(line) if line else None
    except SessionError:
        return None
