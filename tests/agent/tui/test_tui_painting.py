"""What a key costs on the screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from textual.screen import Screen

from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.widgets.prompt import Prompt
from tests.agent.tui.screen_text import settled
from tests.agent.tui.scripted_session import ScriptedOpener

PROBE = """
import os, sys
from rnj_agent.agent.tui.frame_rate import quicken_paints
quicken_paints()
from textual.constants import MAX_FPS
print(MAX_FPS, os.environ.get("TEXTUAL_FPS"))
"""


async def test_a_letter_lays_nothing_out_and_another_line_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path))
    laid_out: list[object] = []
    async with RnjApp(opener=ScriptedOpener(tmp_path)).run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        screen: Screen[object] = pilot.app.screen
        screen.screen_layout_refresh_signal.subscribe(screen, laid_out.append)
        await pilot.press("a", "b", "c")
        assert "abc" in await settled(pilot)
        assert not laid_out
        await pilot.press("ctrl+j", "d")
        await settled(pilot)
        assert laid_out
        assert screen.query_one(Prompt).size.height == 2


@pytest.mark.parametrize(("given", "told"), [({}, "240 None"), ({"TEXTUAL_FPS": "30"}, "30 30")])
def test_paints_come_soon_unless_the_person_says_otherwise(
    given: dict[str, str], told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, env=given
    )
    assert done.stdout.strip() == told
