"""The app on a real live session: a scripted model, files and states in memory."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot

from rnj_agent.agent.config import Config
from rnj_agent.agent.live.session import LiveSession, OnStatus
from rnj_agent.agent.modes import Ask
from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.widgets.prompt import Prompt
from tests.agent.live.conftest import parts_of
from tests.agent.live.memory_sandbox import MemorySandbox
from tests.agent.loop_runs import bash
from tests.agent.tui.screen_text import settled


@dataclass
class MemoryOpener:
    """Real sessions on turns that are played anew for each."""

    repository: Path
    turns: list[str]

    def use_model(self, endpoint: str, name: str) -> None:
        """There is only the scripted one."""

    def open(self, name: str, ask: Ask, on_status: OnStatus) -> LiveSession:
        parts = parts_of(list(self.turns), MemorySandbox())
        if name:
            return LiveSession.resume(Config(), name, ask=ask, on_status=on_status, parts=parts)
        return LiveSession.open(
            Config(), self.repository, ask=ask, on_status=on_status, parts=parts
        )


async def done(pilot: Pilot[None]) -> str:
    """The screen once the session has nothing more to do."""
    await pilot.pause(0.1)
    assert isinstance(pilot.app, RnjApp)
    if pilot.app.session is not None:
        await pilot.app.session.idle()
    return await settled(pilot)


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryOpener:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    repository = tmp_path / "repo"
    repository.mkdir()
    (repository / "a.py").write_text("print('a')\n")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repository, check=True)
    turns = [f"I write. {bash('put b.py print(2)')}", "It is **done**.", "Once more."]
    return MemoryOpener(repository, turns)


async def test_a_turn_and_its_undo_and_the_session_again_the_next_day(opener: MemoryOpener) -> None:
    async with RnjApp(opener=opener).run_test(size=(100, 40)) as pilot:
        await done(pilot)
        await pilot.press(*"write b", "enter")
        text = await done(pilot)
        for shown in ("▌ write b", "I write.", "$ put b.py print(2)", "It is done.", "ready"):
            assert shown in text
        await pilot.press(*"/undo", "enter")
        text = await done(pilot)
        assert "undone from step 1 on" in text
        assert "It is done." not in text
        assert pilot.app.screen.query_one(Prompt).text == "write b"
        pilot.app.screen.query_one(Prompt).set_text("")
        await pilot.press(*"/redo", "enter")
        assert "It is done." in await done(pilot)
        await pilot.press("ctrl+q")
    async with RnjApp(opener=opener, resume="last").run_test(size=(100, 40)) as pilot:
        assert "It is done." in await done(pilot)


async def test_a_model_that_is_not_there_is_said_and_the_app_stays(
    tmp_path: Path, opener: MemoryOpener
) -> None:
    opener.repository = tmp_path / "nowhere"
    async with RnjApp(opener=opener).run_test(size=(100, 30)) as pilot:
        text = await settled(pilot)
        assert "could not start" in text
        assert text.count("✗") == 1
