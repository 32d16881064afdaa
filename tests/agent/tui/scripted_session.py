"""A live session without a model: a test says what happens, and looks at what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnj_agent.agent.events import Event
from rnj_agent.agent.fix.commit import Commit
from rnj_agent.agent.live.session import LiveSession, OnStatus
from rnj_agent.agent.live.status import Status
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.modes import Ask, Mode
from rnj_agent.sandbox.base import SandboxInfo

MODEL = ModelInfo(
    name="rnj-1-instruct", endpoint="http://x/v1", context_window=32_768, exact_counts=True
)
SANDBOX = SandboxInfo(kind="bubblewrap", network=False, detail="")


class ScriptedSession(LiveSession):
    """Every method but the answers to questions only notes that it was called, in ``calls``."""

    def __init__(self, ask: Ask, on_status: OnStatus) -> None:
        self.ask = ask
        self.calls: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        """Raised by the next deed."""
        self.changes = ""
        """The patch as it stands."""
        self._on_status = on_status
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._status = Status(
            phase="ready",
            mode="auto-edit",
            session_id="20261122-100000-a1b2c3",
            cwd="/home/me/intervals",
            model=MODEL,
            sandbox=SANDBOX,
        )

    def play(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.put_nowait(event)

    def set_status(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        self._on_status(self._status)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.calls.append(("closed",))

    @property
    def status(self) -> Status:
        return self._status

    @property
    def mode(self) -> Mode:
        return self._status.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.set_status(mode=mode)

    async def events(self, *, past: bool = True) -> AsyncGenerator[Event]:
        while (event := await self._events.get()) is not None:
            yield event

    def send(self, text: str) -> None:
        self._note("send", text)

    def run_command(self, command: str) -> None:
        self.calls.append(("run_command", command))

    def interrupt(self) -> None:
        self.calls.append(("interrupt",))

    def unqueue(self) -> tuple[str, ...]:
        queued = self._status.queued
        self.set_status(queued=())
        return queued

    async def undo(self, step: int) -> str:
        self._note("undo", str(step))
        return "what was said before"

    async def redo(self) -> None:
        self._note("redo")

    async def patch(self) -> str:
        self._note("patch")
        return self.changes

    async def apply(self) -> str:
        self._note("apply")
        return "applied"

    async def commit(self, message: str) -> Commit:
        self._note("commit", message)
        return Commit(commit_id="1a2b3c4", branch="main")

    async def branch(self, name: str, message: str) -> Commit:
        self._note("branch", name, message)
        return Commit(commit_id="1a2b3c4", branch=name)

    def _note(self, *call: str) -> None:
        self.calls.append(call)
        if self.error is not None:
            error, self.error = self.error, None
            raise error


@dataclass
class ScriptedOpener:
    """Opens scripted sessions; the last one is at hand."""

    repository: Path
    opened: list[str] = field(default_factory=list[str])
    models: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    last: ScriptedSession | None = None

    def open(self, name: str, ask: Ask, on_status: OnStatus) -> LiveSession:
        self.opened.append(name)
        self.last = ScriptedSession(ask, on_status)
        return self.last

    def use_model(self, endpoint: str, name: str) -> None:
        self.models.append((endpoint, name))

    @property
    def session(self) -> ScriptedSession:
        assert self.last is not None
        return self.last
