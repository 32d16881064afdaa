"""A session on disk: its events, one JSON line each, appended as they happen.

``<state>/sessions/<id>/events.jsonl`` and ``meta.json`` beside it. The state folder is the
platform's, or what RNJ_STATE names. A line that a kill or a full disk tore is at most the last one;
reading stops before it and never loses a whole one.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import rnj_agent
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_json import event_from_json, event_to_json
from rnj_agent.agent.events import Event

EVENTS = "events.jsonl"
_META = "meta.json"
_FORMAT = 1


def state_dir() -> Path:
    """Where rnj-agent keeps what must outlive a run."""
    if configured := os.environ.get("RNJ_STATE"):
        return Path(configured).expanduser()
    import platformdirs

    return platformdirs.user_state_path("rnj-agent")


def sessions_dir() -> Path:
    return state_dir() / "sessions"


def new_session_id(now: datetime | None = None) -> str:
    """A fresh id; ids sort by time, to the second."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class SessionWriter:
    """Appends events. Whatever was written survives a kill; after ``sync``, a power cut too."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory = directory
        self._descriptor = descriptor

    @classmethod
    def create(cls, session_id: str, parent: Path | None = None) -> Self:
        """Make the session's folder, readable by its owner alone.

        Raises:
            SessionError: it exists already, or cannot be written.
        """
        directory = (parent or sessions_dir()) / session_id
        try:
            directory.mkdir(parents=True, mode=0o700)
            meta = {"format": _FORMAT, "id": session_id, "version": rnj_agent.__version__}
            (directory / _META).write_text(json.dumps(meta) + "\n", encoding="utf-8")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(directory / EVENTS, flags, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _sync_directory(directory)
        except OSError as exc:
            raise _cannot_write(directory, exc) from exc
        return cls(directory, descriptor)

    @classmethod
    def reopen(cls, directory: Path) -> Self:
        """Go on with a session, behind its last whole event; a torn line is cut off.

        Raises:
            SessionError: it is open elsewhere, or cannot be written.
        """
        path = directory / EVENTS
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(descriptor, _whole_bytes(path))
            except BaseException:
                os.close(descriptor)
                raise
        except BlockingIOError as exc:
            raise SessionError(f"session {directory.name} is open in another process") from exc
        except OSError as exc:
            raise _cannot_write(directory, exc) from exc
        return cls(directory, descriptor)

    def write(self, event: Event) -> None:
        """Append one event.

        Raises:
            SessionError: the disk refuses; the line may be torn, and is the last one.
        """
        data = memoryview(f"{event_to_json(event)}\n".encode())
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as exc:
            raise _cannot_write(self.directory, exc) from exc

    def sync(self) -> None:
        """Make all that was written survive a power cut.

        Raises:
            SessionError: the disk refuses.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as exc:
            raise _cannot_write(self.directory, exc) from exc

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_events(directory: Path) -> Iterator[Event]:
    """The events of a session, up to the last whole one.

    Raises:
        SessionError: there is no such session, or a line before the last is no event.
    """
    path = directory / EVENTS
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(itertools.takewhile(_is_whole, lines), 1):
                yield _parsed(line, path, number)
    except OSError as exc:
        hint = "rnj-agent sessions list"
        raise SessionError(f"cannot read {path}: {exc.strerror}", hint=hint) from exc


def _whole_bytes(path: Path) -> int:
    """The file's size without a torn last line."""
    with path.open("rb") as lines:
        return sum(map(len, itertools.takewhile(_is_whole, lines)))


def _is_whole(line: bytes) -> bool:
    """Whether the writer lived to the end of it."""
    return line.endswith(b"\n")


def _parsed(line: bytes, path: Path, number: int) -> Event:
    try:
        return event_from_json(line)
    except SessionError as exc:
        raise SessionError(f"{path}, line {number}: {exc.message}") from exc


def _cannot_write(directory: Path, exc: OSError) -> SessionError:
    elsewhere = "keep sessions elsewhere: export RNJ_STATE=/path/to/folder"
    full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    return SessionError(
        f"the session cannot be saved in {directory}: {exc.strerror or exc}",
        hint=f"free some space, or {elsewhere}" if full else elsewhere,
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
