"""What the mouse does in the conversation: open, fold, select, copy."""

from __future__ import annotations

import pytest
from textual import events
from textual.pilot import Pilot

from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.widgets.transcript import Transcript
from tests.agent.tui.demo_session import first_turn
from tests.agent.tui.screen_text import settled, stream

FOLDED = "… 10 more lines"


@pytest.fixture(autouse=True)
def in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def place(text: str, words: str) -> tuple[int, int]:
    """Column and row of the words on the screen."""
    rows = [number for number, line in enumerate(text.splitlines()) if words in line]
    assert rows, text
    return text.splitlines()[rows[0]].index(words), rows[0]


async def drag(pilot: Pilot[None], start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down(offset=start)
    await pilot.hover(offset=end)
    await pilot.mouse_up(offset=end)
    await pilot.pause()


async def test_a_click_opens_a_folded_output_and_the_next_folds_it() -> None:
    app = RnjApp(events=stream(first_turn()))
    async with app.run_test(size=(100, 60)) as pilot:
        text = await settled(pilot)
        await pilot.click(offset=place(text, FOLDED))
        text = await settled(pilot)
        assert FOLDED not in text
        assert "test_case_5" in text
        await pilot.click(offset=place(text, "test_case_5"))
        assert FOLDED in await settled(pilot)


async def test_what_is_dragged_over_is_copied_as_it_reads() -> None:
    app = RnjApp(events=stream(first_turn()))
    async with app.run_test(size=(100, 60)) as pilot:
        text = await settled(pilot)
        column, row = place(text, "sorted brings")
        await drag(pilot, (column, row), (column + 12, row))
        await pilot.press("ctrl+c")
        assert app.clipboard.startswith("sorted brings"[:12])
        assert app.clipboard in text.splitlines()[row]
        assert app.screen.get_selected_text() is None
        assert FOLDED in await settled(pilot)  # selecting opens nothing


async def test_the_wheel_scrolls_and_leaves_the_end() -> None:
    app = RnjApp(events=stream(first_turn()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        transcript = app.screen.query_one(Transcript)
        assert transcript.follows_end
        app.screen.post_message(wheel_up(at=(5, 5)))
        await settled(pilot)
        assert not transcript.follows_end


def wheel_up(*, at: tuple[int, int]) -> events.MouseScrollUp:
    x, y = at
    return events.MouseScrollUp(
        None, x, y, 0, 0, 0, shift=False, meta=False, ctrl=False, screen_x=x, screen_y=y
    )
