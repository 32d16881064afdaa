"""Keys given anew by the configuration, and how the app calls a person who looks elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from textual import events as textual_events

from rnj_agent.agent.approval import grade_call
from rnj_agent.agent.config import Config, UiSettings
from rnj_agent.agent.config_layers import LoadedConfig, load_config
from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.modes import Question
from rnj_agent.agent.tui import app as app_module
from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.keymap import KEYS, remapped
from rnj_agent.agent.tui.notification import desktop_note
from rnj_agent.agent.tui.widgets.prompt import Prompt
from tests.agent.tui.screen_text import settled
from tests.agent.tui.scripted_session import ScriptedOpener


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpener:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    return ScriptedOpener(tmp_path)


def loaded(config: Config) -> LoadedConfig:
    return LoadedConfig(config=config, files=(), origins={}, warnings=())


def test_the_table_itself_has_no_clash_and_names_everything_once() -> None:
    assert remapped({}) == KEYS
    assert len({key.id for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"next_mod": "f2"}, "unknown key 'keys.next_mod'", "did you mean 'keys.next_mode'?"),
        ({"open": "ctrl+y"}, "'ctrl+y' is the key of both 'keys.open' and 'keys.copy'", "another"),
        ({"open": "cntrl+x"}, "'cntrl+x' is no key", "ctrl+x"),
        ({"open": "x"}, "nobody could write that letter", "ctrl+x"),
        ({"history": "f2"}, "unknown key 'keys.history'", ""),
        ({"open": ""}, "is no key", ""),
    ],
)
def test_what_cannot_be_is_refused_with_a_hint(
    given: Mapping[str, str], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        remapped(given, {f"keys.{name}": "config.toml:3" for name in given})
    assert caught.value.message.startswith("config.toml:3: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_letter_answers_a_question_and_two_may_be_swapped() -> None:
    keys = {
        key.id: key.keys
        for key in remapped({"allow_once": "o", "open": "ctrl+y", "copy": "ctrl+o"})
    }
    assert (keys["allow_once"], keys["open"], keys["copy"]) == ("o", "ctrl+y", "ctrl+o")


def test_the_user_config_gives_keys_and_a_repository_may_not(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[keys]\nnext_theme = "f2, f3"\n[ui]\nnotify = false\n')
    config = load_config(directory=tmp_path, environ={"RNJ_CONFIG": str(file)}).config
    assert config.keys == {"next_theme": "f2, f3"}
    assert not config.ui.notify
    (tmp_path / ".rnj").mkdir()
    (tmp_path / ".rnj" / "config.toml").write_text('[keys]\nsubmit = "f2"\n')
    with pytest.raises(ConfigError, match="a repository may not set"):
        load_config(directory=tmp_path, environ={"RNJ_CONFIG": str(file)})


async def test_a_remapped_key_does_it_the_old_one_does_not_and_the_help_says_so(
    opener: ScriptedOpener,
) -> None:
    app = RnjApp(opener=opener)
    async with app.run_test(size=(110, 80)) as pilot:
        await settled(pilot)
        given = {"next_mode": "f2", "submit": "ctrl+x,f3", "allow_once": "o"}
        app.take_config(loaded(Config(keys=given)))
        await pilot.press("f2")
        assert opener.session.mode == "yolo"
        await pilot.press("shift+tab")
        assert opener.session.mode == "yolo"
        await pilot.press(*"hello", "ctrl+x")
        assert opener.session.calls == [("send", "hello")]
        await pilot.press("f1")
        text = await settled(pilot)
        assert "F2 " in text
        assert "Ctrl+X or F3" in text
        assert "Shift+Tab" not in text
        await pilot.press("escape")
        asked = asyncio.create_task(_ask(opener))
        assert "o once" in await settled(pilot)
        await pilot.press("o")
        assert await asked == "allow_once"


async def _ask(opener: ScriptedOpener) -> str:
    call = ToolCall(id="c1", name="bash", arguments=json.dumps({"command": "make;\x1b]0;x\x07"}))
    question = Question(call=call, grading=grade_call(call), patterns=())
    return (await opener.session.ask(question)).decision


class WrittenApp(RnjApp):
    """Keeps what it sends to the terminal."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

    def __init__(self, opener: ScriptedOpener) -> None:
        super().__init__(opener=opener)
        self.written: list[str] = []

    def write_terminal(self, sequence: str) -> None:
        self.written.append(sequence)


async def test_it_calls_only_where_the_person_looks_elsewhere_and_wants_it(
    opener: ScriptedOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("VTE_VERSION", raising=False)
    app = WrittenApp(opener)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)

        async def a_turn() -> None:
            opener.session.set_status(phase="working")
            opener.session.set_status(phase="ready")
            await pilot.pause()

        await a_turn()
        assert app.written == []
        app.post_message(textual_events.AppBlur())
        await pilot.pause()
        await a_turn()
        assert app.written == ["\x1b]9;rnj-agent: ready\x07"]
        asked = asyncio.create_task(_ask(opener))
        await settled(pilot)
        assert app.written[1:] == ["\x1b]9;rnj-agent: asks: $ make,]0,x\x07"]
        await pilot.press("y")
        await asked
        app.take_config(loaded(Config(ui=UiSettings(notify=False))))
        await a_turn()
        assert len(app.written) == 2
        assert isinstance(app.focused, Prompt)


@pytest.mark.parametrize("environ", [{"TERM": "foot"}, {"TERM": "xterm", "VTE_VERSION": "7600"}])
def test_terminals_of_the_other_kind_are_told_their_way(environ: dict[str, str]) -> None:
    assert desktop_note("ready", environ) == "\x1b]777;notify;rnj-agent;ready\x07"
