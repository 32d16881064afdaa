"""The screen as text at the usual sizes, against the kept one. RNJ_UPDATE_SNAPSHOTS=1 rewrites it.

The text must be the same in every theme: a theme is colours alone, and whether those can be read is
tested beside the palette.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.themes import THEMES
from tests.agent.tui.demo_session import demo_events, first_turn
from tests.agent.tui.screen_text import settled, stream

KEPT = Path(__file__).parent / "snapshots"
VIEWS = {"turn": (first_turn, []), "session": (demo_events, []), "help": (first_turn, ["f1"])}


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("view", VIEWS)
async def test_the_screen_is_as_it_was(view: str, size: tuple[int, int]) -> None:
    events, keys = VIEWS[view]
    app = RnjApp(events=stream(events()))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press(*keys)
        text = await settled(pilot) + "\n"
    kept = KEPT / f"{view}-{size[0]}x{size[1]}.txt"
    if os.environ.get("RNJ_UPDATE_SNAPSHOTS"):
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
async def test_every_theme_shows_the_same_words(theme: str) -> None:
    app = RnjApp(events=stream(first_turn()), theme=theme)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
    kept = (KEPT / "turn-80x24.txt").read_text(encoding="utf-8")
    assert words_of(text) == words_of(kept)


def words_of(text: str) -> list[str]:
    """Without the scrollbar, which needs a colour."""
    return text.translate(dict.fromkeys(range(9601, 9609), " ")).split()


async def test_without_colours_nothing_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = RnjApp(events=stream(first_turn()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert app.theme == "rnj-plain"
        strips = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]
        colours = {
            str(colour.name)
            for strip in strips
            for segment in strip
            if segment.style is not None
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None
        }
    assert colours <= {"default"}
