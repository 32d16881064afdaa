"""Sessions on a scripted model, in memory or in a real sandbox."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from rnj_agent.agent.assembly import Say
from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Event
from rnj_agent.agent.live.place import OpenParts, Parts
from rnj_agent.agent.live.session import LiveSession
from rnj_agent.agent.modes import Answer, Ask, Mode, Question
from rnj_agent.agent.scripted_model import ScriptedModel, Turn
from rnj_agent.sandbox.base import Sandbox
from tests.agent.live.memory_sandbox import MemorySandbox

OpenSession: TypeAlias = Callable[..., LiveSession]


async def allow(question: Question) -> Answer:
    return Answer(decision="allow_once")


def parts_of(turns: Iterable[Turn] | ScriptedModel, sandbox: Sandbox) -> OpenParts:
    model = turns if isinstance(turns, ScriptedModel) else ScriptedModel(turns)

    @asynccontextmanager
    async def open_parts(config: Config, session_id: str, say: Say) -> AsyncGenerator[Parts]:
        async with sandbox as entered:
            yield Parts(model=model, sandbox=entered)

    return open_parts


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sessions of the test's own."""
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    (path / "a.py").write_text("print('a')\n")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "Ann"],
        ["git", "config", "user.email", "ann@example.org"],
        ["git", "add", "."],
        ["git", "commit", "-qm", "start"],
    ):
        subprocess.run(command, cwd=path, check=True)
    return path


@pytest.fixture
def open_session(repo: Path) -> OpenSession:
    """``open_session(turns, sandbox)``: in memory unless another sandbox is given."""

    def open_(
        turns: Iterable[Turn] | ScriptedModel,
        sandbox: Sandbox | None = None,
        *,
        ask: Ask = allow,
        mode: Mode = "yolo",
        resume: str = "",
    ) -> LiveSession:
        parts = parts_of(turns, sandbox or MemorySandbox())
        if resume:
            return LiveSession.resume(Config(), resume, ask=ask, mode=mode, parts=parts)
        return LiveSession.open(Config(), repo, ask=ask, mode=mode, parts=parts)

    return open_


async def past(session: LiveSession) -> list[Event]:
    """The events of a session that was closed."""
    async with aclosing(session.events()) as events:
        return [event async for event in events]
