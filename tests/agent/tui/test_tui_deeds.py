"""What becomes of a session from the app: copies of it, and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from rnj_agent.agent.agents_file import AgentsFile
from rnj_agent.agent.events import Delivered, Notice
from rnj_agent.agent.session import SessionWriter
from rnj_agent.agent.session_list import list_sessions
from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.widgets.prompt import Prompt
from rnj_agent.agent.tui.widgets.transcript import Transcript
from tests.agent.tui.demo_session import PATCH, demo_events
from tests.agent.tui.screen_text import settled
from tests.agent.tui.scripted_session import ScriptedOpener

SESSION = "20261122-100000-a1b2c3"


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpener:
    """Its session is saved."""
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    writer = SessionWriter.create(SESSION)
    for event in demo_events():
        writer.write(event)
    writer.close()
    repository = tmp_path / "repo"
    repository.mkdir()
    return ScriptedOpener(repository)


async def send(pilot: Pilot[None], text: str) -> str:
    prompt = pilot.app.screen.query_one(Prompt)
    prompt.set_text("")
    prompt.insert(text)
    await pilot.press("enter")
    return await settled(pilot)


async def test_a_fork_is_another_session_which_opens(opener: ScriptedOpener) -> None:
    async with RnjApp(opener=opener).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        assert "/fork takes the number of a step" in await send(pilot, "/fork the first")
        assert "step 99 is not in this session" in await send(pilot, "/fork 99")
        await send(pilot, "/fork 4")
        (copy,) = [session for session in list_sessions() if session.id != SESSION]
        assert opener.opened == ["", copy.id]
        assert copy.patch == PATCH


async def test_the_session_is_written_in_every_form_and_over_nothing(
    opener: ScriptedOpener,
) -> None:
    async with RnjApp(opener=opener).run_test(size=(140, 30)) as pilot:
        await settled(pilot)
        opener.session.set_status(cwd=str(opener.repository))
        await send(pilot, "/export")
        await send(pilot, "/export patch my.patch")
        await send(pilot, "/export jsonl")
        names = sorted(path.name for path in opener.repository.iterdir())
        assert names == [f"{SESSION}.jsonl", f"{SESSION}.md", "my.patch"]
        assert (opener.repository / "my.patch").read_text() == PATCH
        assert "def test_touch" in (opener.repository / f"{SESSION}.md").read_text()
        assert "File exists" in await send(pilot, "/export patch my.patch")
        assert "/export [md|jsonl|patch|mini] [FILE]" in await send(pilot, "/export pdf")
        await send(pilot, "/export mini")
        assert (opener.repository / f"{SESSION}.traj.json").read_text().startswith("{")


async def test_what_came_of_a_command_is_in_view_wherever_one_looked(
    opener: ScriptedOpener,
) -> None:
    async with RnjApp(opener=opener).run_test(size=(80, 20)) as pilot:
        await settled(pilot)
        opener.session.play(demo_events())
        await settled(pilot)
        await pilot.press("ctrl+home")
        assert not pilot.app.screen.query_one(Transcript).follows_end
        await send(pilot, "/commit Add it")
        told = Delivered(how="committed", detail="Committed 1a2b3c4 on main.", snapshot="s1")
        opener.session.play([told])
        assert "Committed 1a2b3c4 on main." in await settled(pilot)


async def test_what_the_repository_tells_is_shown(opener: ScriptedOpener) -> None:
    async with RnjApp(opener=opener).run_test(size=(100, 30), notifications=True) as pilot:
        await settled(pilot)
        assert "told of no AGENTS.md" in await send(pilot, "/agents")
        agents = AgentsFile(text="# Rules\n[b]Use tabs.", num_lines=40, num_left_out=38)
        opener.session.set_status(agents=agents)
        assert "AGENTS.md: 40 lines, of which the model is told 2" in await settled(pilot)
        shown = await send(pilot, "/agents")
        assert "[b]Use tabs." in shown
        await pilot.press("escape")
        assert "Use tabs" not in await settled(pilot)


async def test_what_the_start_tells_stands_in_the_welcome(opener: ScriptedOpener) -> None:
    async with RnjApp(opener=opener).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        opener.session.set_status(phase="starting", model=None)
        opener.session.play([Notice(level="info", text=f"Loading m: {n} %") for n in (0, 10)])
        text = await settled(pilot)
        assert "model    Loading m: 10 %" in text
        assert "Say what to do, or press ?" in text
        opener.session.play([Notice(level="warning", text="2 files were not copied")])
        text = await settled(pilot)
        assert "2 files were not copied" in text
        assert "or press ?" not in text
