from __future__ import annotations

import io
import itertools
from pathlib import Path

from rich.console import Console

from rnj_agent.agent.swebench.activity import ACTIVITY, Board
from rnj_agent.agent.swebench.live_status import LiveStatus
from rnj_agent.agent.swebench.status import Prices
from tests.agent.swebench.synthetic_run import Shape, write_run

SMALL = Shape(num_selected=30, num_finished=20, share_resolved=0.5, with_events=False)


def a_console(*, is_terminal: bool) -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, force_terminal=is_terminal, width=100, color_system=None), shown


def test_lines_are_told_where_nothing_can_be_redrawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SMALL)
    console, shown = a_console(is_terminal=False)
    board = Board(num_workers=4)
    times_s = itertools.count(0.0, 10.0)
    with LiveStatus(run.root, console, board=board, clock=lambda: next(times_s)) as live:
        assert (run.root / ACTIVITY).is_file()
        live.finished(live.view.results[0])
        board.pause("the Docker engine does not answer")
        live.tick()
        live.tick()
        board.resume()
        live.tick()
    lines = shown.getvalue().splitlines()
    assert live.view.results[0].instance_id in lines[0]
    assert [line for line in lines if "paused since" in line] == [lines[1]]
    assert lines[1].endswith("the Docker engine does not answer")
    assert lines[2] == "goes on"
    assert lines[-1].startswith("20 of 30 finished")
    assert not (run.root / ACTIVITY).exists()


def test_a_terminal_shows_how_far_and_what_goes_on(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SMALL)
    console, shown = a_console(is_terminal=True)
    board = Board(num_workers=12)
    for number in range(12):
        board.begin(f"a__b-{number}", 1)
    board.doing("a__b-0", 1, "pulls \x1b[31mthe image")
    with LiveStatus(run.root, console, board=board, prices=Prices(prompt=1, completion=2)) as live:
        live.say("a line that stays")
    text = shown.getvalue()
    for words in (
        "12 workers",
        "20 of 30",
        "a line that stays",
        "pulls [31mthe",
        "and 4 more",
        "$",
    ):
        assert words in text
    assert "\x1b[31m" not in text


def test_an_onlooker_reads_what_the_runner_notes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SMALL)
    board = Board(num_workers=2)
    board.begin("a__b-7", 1)
    quiet, _ = a_console(is_terminal=False)
    console, shown = a_console(is_terminal=True)
    with LiveStatus(run.root, quiet, board=board), LiveStatus(run.root, console):
        pass
    assert "a__b-7" in shown.getvalue()
