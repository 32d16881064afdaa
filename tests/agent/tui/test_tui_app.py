"""What a person does in the app, key by key, and what comes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events as textual_events
from textual.pilot import Pilot

from rnj_agent.agent.approval import grade_call
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import TextDelta, ToolCallStarted, ToolOutputDelta
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.modes import Answer, Question
from rnj_agent.agent.patterns import patterns_of
from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.commands import COMMANDS
from rnj_agent.agent.tui.keymap import KEYS
from rnj_agent.agent.tui.screens.help import shown_keys
from rnj_agent.agent.tui.widgets.prompt import Prompt
from rnj_agent.agent.tui.widgets.transcript import Transcript
from tests.agent.tui.demo_session import PATCH, demo_events, first_turn, run_started
from tests.agent.tui.screen_text import screen_text, settled, stream
from tests.agent.tui.scripted_session import ScriptedOpener, ScriptedSession


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@asynccontextmanager
async def live(
    tmp_path: Path, size: tuple[int, int] = (100, 30)
) -> AsyncGenerator[tuple[Pilot[None], ScriptedSession]]:
    repository = tmp_path / "repo"
    repository.mkdir(exist_ok=True)
    (repository / "merge.py").write_text("x = 1\n")
    opener = ScriptedOpener(repository)
    async with RnjApp(opener=opener).run_test(size=size, notifications=True) as pilot:
        await settled(pilot)
        yield pilot, opener.session


async def write(pilot: Pilot[None], text: str) -> None:
    prompt = pilot.app.screen.query_one(Prompt)
    prompt.insert(text)
    await pilot.pause()


async def send(pilot: Pilot[None], text: str) -> str:
    await write(pilot, text)
    await pilot.press("enter")
    return await settled(pilot)


def question(command: str) -> Question:
    call = ToolCall(id="c1", name="bash", arguments=json.dumps({"command": command}))
    grading = grade_call(call)
    return Question(call=call, grading=grading, patterns=patterns_of(call, grading))


async def test_messages_commands_of_the_shell_and_of_the_app_go_their_ways(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        await send(pilot, "fix it")
        await send(pilot, "!ls -la")
        await send(pilot, "/usr/bin/python is broken")
        assert session.calls == [
            ("send", "fix it"),
            ("run_command", "ls -la"),
            ("send", "/usr/bin/python is broken"),
        ]
        assert "no command /flyy" in await send(pilot, "/flyy")
        assert pilot.app.screen.query_one(Prompt).text == ""


async def test_a_message_may_have_several_lines_and_comes_back_from_the_history(
    tmp_path: Path,
) -> None:
    async with live(tmp_path) as (pilot, session):
        await pilot.press("a", "shift+enter", "b", "ctrl+j", "c", "enter")
        assert session.calls == [("send", "a\nb\nc")]
        await send(pilot, "second")
        await pilot.press("d", "up", "up", "down", "down")
        assert pilot.app.screen.query_one(Prompt).text == "d"
        await pilot.press("up", "enter")
        assert session.calls[-1] == ("send", "second")
    async with live(tmp_path) as (pilot, session):  # the next start
        await pilot.press("ctrl+r", *"sec", "enter")
        await settled(pilot)
        assert pilot.app.screen.query_one(Prompt).text == "second"


async def test_keys_that_come_all_at_once_are_taken_in_order(tmp_path: Path) -> None:
    """As from a terminal that sends a line in one piece: Enter overtakes no letter."""
    async with live(tmp_path) as (pilot, session):
        for key in (*"fix it", "ctrl+j", *"now", "enter", *"!ls", "enter", *"/mode plan", "enter"):
            character = key if len(key) == 1 else None
            name = {" ": "space", "!": "exclamation_mark", "/": "slash"}.get(key, key)
            pilot.app.post_message(textual_events.Key(name, character))
        await settled(pilot)
        assert session.calls == [("send", "fix it\nnow"), ("run_command", "ls")]
        assert session.mode == "plan"


async def test_what_a_failed_session_refuses_stays_in_the_prompt(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        session.error = SessionError("there is no model", hint="rnj-agent doctor")
        assert "there is no model · rnj-agent doctor" in await send(pilot, "fix it")
        assert pilot.app.screen.query_one(Prompt).text == "fix it"


async def test_a_long_paste_is_folded_and_sent_whole(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        pasted = "line of log\n" * 90_000  # 1 MB
        pilot.app.screen.query_one(Prompt).post_message(textual_events.Paste(pasted))
        assert "[pasted 1: 90,001 lines]" in await settled(pilot)
        await pilot.press(*" why?", "enter")
        await settled(pilot)
        assert session.calls == [("send", pasted + " why?")]


async def test_commands_and_files_are_completed(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        await pilot.press("/", "u")
        text = await settled(pilot)
        assert "undo" in text
        assert "Back to before a step" in text
        await pilot.press("escape")
        assert "Back to before a step" not in await settled(pilot)
        await pilot.press("backspace", "backspace", *"read @mer")
        assert "merge.py" in await settled(pilot)
        await pilot.press("tab", *"please", "enter")
        await settled(pilot)
        assert session.calls == [("send", "read @merge.py please")]


async def test_escape_interrupts_and_shift_tab_goes_through_the_modes(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        await pilot.press("escape")
        assert session.calls == [("interrupt",)]
        assert "auto-edit" in await settled(pilot)
        await pilot.press("shift+tab")
        assert session.mode == "yolo"
        assert "yolo" in await settled(pilot)
        await send(pilot, "/mode plan")
        assert session.mode == "plan"


async def test_what_waits_is_shown_and_taken_back(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        session.set_status(phase="working", queued=("one more thing", "!make"))
        text = await settled(pilot)
        assert "waits: one more thing" in text
        assert "waits: !make" in text
        await send(pilot, "/unqueue")
        assert pilot.app.screen.query_one(Prompt).text == "one more thing\n!make"


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["y"], Answer(decision="allow_once")),
        (["a"], Answer(decision="allow_always")),
        (["n"], Answer(decision="reject_once")),
        (["w", *"not so", "enter"], Answer(decision="reject_once", word="not so")),
        (["w", "escape", "y"], Answer(decision="allow_once")),
    ],
    ids=["once", "always", "no", "word", "back"],
)
async def test_a_question_is_answered_with_a_key(
    tmp_path: Path, keys: list[str], answer: Answer
) -> None:
    async with live(tmp_path) as (pilot, session):
        asked = asyncio.create_task(_ask(session, question("cd build && git reset --hard")))
        text = await settled(pilot)
        assert "$ cd build && git reset --hard" in text
        assert "discards or publishes work" in text
        await pilot.press(*keys)
        assert await asked == answer
        assert "git reset" not in await settled(pilot)
        assert isinstance(pilot.app.focused, Prompt)


async def test_a_question_goes_away_with_what_asked_it(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        asked = asyncio.create_task(_ask(session, question("make install")))
        assert "make install" in await settled(pilot)
        asked.cancel()
        assert "make install" not in await settled(pilot)


async def _ask(session: ScriptedSession, asked: Question) -> Answer:
    return await session.ask(asked)


async def test_deeds_reach_the_session_and_refusals_are_shown(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        assert "nothing has been done yet" in await send(pilot, "/undo")
        session.play(demo_events())
        await settled(pilot)
        await send(pilot, "/undo")
        assert session.calls[-1] == ("undo", "4")  # the first step of the last turn
        assert pilot.app.screen.query_one(Prompt).text == "what was said before"
        pilot.app.screen.query_one(Prompt).set_text("")
        for said, call in {
            "/undo 2": ("undo", "2"),
            "/redo": ("redo",),
            "/apply": ("apply",),
            "/commit Merge ranges": ("commit", "Merge ranges"),
            "/branch fix Merge ranges": ("branch", "fix", "Merge ranges"),
        }.items():
            await send(pilot, said)
            assert session.calls[-1] == call
            pilot.app.screen.query_one(Prompt).set_text("")
        session.error = SessionError("nothing to take back", hint="/undo")
        assert "nothing to take back" in await send(pilot, "/redo")
        assert "say it all: /commit MESSAGE" in await send(pilot, "/commit")


async def test_the_whole_diff_is_a_screen_of_its_own(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        session.changes = PATCH
        await pilot.press("ctrl+g")
        text = await settled(pilot)
        assert "1 file changed, +1 -1" in text
        assert "if merged and start <= merged[-1][1]:" in text
        await pilot.press("escape")
        session.changes = ""
        assert "Nothing has been changed" in await send(pilot, "/diff")


async def test_the_help_names_every_key_and_command(tmp_path: Path) -> None:
    async with live(tmp_path, (110, 80)) as (pilot, _):
        await pilot.press("?")
        text = await settled(pilot)
        for key in KEYS:
            assert shown_keys(key.keys) in text
            assert key.help in text
        for command in COMMANDS:
            assert f"/{command.name}" in text
        await pilot.press("escape")
        assert "Anywhere" not in await settled(pilot)


async def test_long_output_opens_and_folds_and_blocks_are_copied(tmp_path: Path) -> None:
    async with live(tmp_path, (100, 50)) as (pilot, session):
        session.play(first_turn())
        assert "… 10 more lines" in await settled(pilot)
        await pilot.press("alt+up", "alt+up", "alt+up")  # the verification, the edit, the tests
        assert "pytest -q tests" in str(pilot.app.screen.query_one(Transcript).cursor_block)
        await pilot.press("ctrl+o")
        opened = await settled(pilot)
        assert "test_case_3" in opened
        await pilot.press("ctrl+y")
        assert "test_case_3" in pilot.app.clipboard
        await pilot.press("ctrl+o")
        assert "… 10 more lines" in await settled(pilot)


async def test_it_follows_the_end_until_the_person_scrolls_up(tmp_path: Path) -> None:
    async with live(tmp_path, (80, 24)) as (pilot, session):
        session.play([run_started("go"), TextDelta(text="word\n\n" * 100 + "the end")])
        assert "the end" in await settled(pilot)
        await pilot.press("pageup")
        scrolled = await settled(pilot)
        assert "the end" not in scrolled
        session.play([TextDelta(text="\n\nmore " * 50)])
        assert _without_scrollbar(await settled(pilot)) == _without_scrollbar(scrolled)
        await pilot.press("ctrl+end")
        assert "more" in await settled(pilot)


def _without_scrollbar(text: str) -> list[str]:
    """The conversation's lines; the bar shrinks while the conversation grows."""
    return [line.rstrip(" ▁▂▃▄▅▆▇█") for line in text.splitlines()[:15]]


async def test_live_output_is_bounded_and_keys_are_answered_meanwhile(tmp_path: Path) -> None:
    async with live(tmp_path, (80, 24)) as (pilot, session):
        call = ToolCall(id="c9", name="bash", arguments='{"command": "yes"}')
        session.play([run_started("go"), ToolCallStarted(call=call)])
        flood = "y\n" * 32_000
        session.play([ToolOutputDelta(call_id="c9", text=flood) for _ in range(40)])
        await pilot.press(*"typed")
        assert "characters so far" in await settled(pilot)
        assert "typed" in screen_text(pilot.app)


@pytest.mark.parametrize("width", [60, 80, 120, 300])
async def test_every_width_holds_the_conversation(width: int) -> None:
    app = RnjApp(events=stream(demo_events()))
    async with app.run_test(size=(width, 40)) as pilot:
        await settled(pilot)
        for narrower in (width - 7, width, 61):
            await pilot.resize_terminal(narrower, 30)
            text = await settled(pilot)
            assert "committed 2 files" in text
            assert max(map(len, text.splitlines())) <= narrower


async def test_leaving_closes_the_session(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        await pilot.press("ctrl+c")
        assert "Once more to quit" in await settled(pilot)
        await pilot.press("ctrl+c")
        await pilot.pause(0.2)
        assert session.calls[-1] == ("closed",)


async def test_another_session_closes_this_one(tmp_path: Path) -> None:
    async with live(tmp_path) as (pilot, session):
        session.play(first_turn())
        await settled(pilot)
        text = await send(pilot, "/new")
        assert session.calls == [("closed",)]
        assert "merge" not in text
