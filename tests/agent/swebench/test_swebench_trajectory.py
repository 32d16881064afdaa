from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import Event, Notice, RunFinished, ToolOutputDelta
from rnj_agent.agent.session import EVENTS
from rnj_agent.agent.swebench.report.trajectory import read_trajectory
from rnj_agent.agent.swebench.results import AttemptResult
from tests.agent.swebench.synthetic_run import PATCH_TEXT, trajectory

MUCH = 1_000_000


def events(num_steps: int) -> list[Event]:
    result = AttemptResult(
        attempt=1, status="submitted", detail="the model submitted", num_steps=num_steps
    )
    return list(trajectory("a__b-1", result, PATCH_TEXT))


def write(directory: Path, written: list[Event], behind: bytes = b"") -> Path:
    lines = "".join(f"{event_to_json(event)}\n" for event in written)
    (directory / EVENTS).write_bytes(lines.encode() + behind)
    return directory


def test_a_short_log_is_read_whole(tmp_path: Path) -> None:
    read = read_trajectory(write(tmp_path, events(3)), max_chars=MUCH)
    kinds = [entry.kind for entry in read.entries]
    assert kinds == ["task", *["said", "ran", "told"] * 3, "end"]
    assert [entry.step for entry in read.entries][:4] == [0, 1, 1, 1]
    assert read.is_whole
    assert read.last_error == "E   AssertionError: assert 344 == 345"


def test_a_torn_last_line_and_lines_of_another_version_are_passed_over(tmp_path: Path) -> None:
    strange = b'{"kind":"notice"}\nnonsense\n{"text":"x","level":"info","kind":"notice"}\n{"torn'
    read = read_trajectory(write(tmp_path, events(1), strange), max_chars=MUCH)
    assert read.entries[-1].text == "x"


def test_of_a_long_log_the_beginning_and_the_end_are_shown(tmp_path: Path) -> None:
    read = read_trajectory(write(tmp_path, events(200)), max_chars=20_000)
    (gap,) = [entry for entry in read.entries if entry.kind == "gap"]
    steps = [entry.step for entry in read.entries if entry.step]
    before = max(step for step in steps if step < 100)
    behind = min(step for step in steps if step > 100)
    assert gap.text == f"steps {before + 1} to {behind - 1}"
    assert (min(steps), max(steps)) == (1, 200)
    assert not read.is_whole
    assert sum(len(entry.text) for entry in read.entries) < 20_000


def test_of_a_huge_log_only_the_ends_are_read(tmp_path: Path) -> None:
    flood: list[Event] = [ToolOutputDelta(call_id="c1", text="noise " * 20_000)] * 30
    written = events(4)
    read = read_trajectory(write(tmp_path, [*written[:30], *flood, *written[30:]]), max_chars=MUCH)
    assert read.size_bytes > 3_000_000
    assert [entry.kind for entry in read.entries].count("gap") == 1
    assert read.entries[0].kind == "task"
    assert read.entries[-1].text == "submitted: the model submitted"


def test_a_line_longer_than_what_is_read_hides_no_others(tmp_path: Path) -> None:
    written = events(2)
    finished = written[-1]
    assert isinstance(finished, RunFinished)
    written.insert(20, Notice(level="info", text="x" * 3_000_000))
    read = read_trajectory(write(tmp_path, written), max_chars=MUCH)
    assert read.entries[0].kind == "task"
    assert read.entries[-1].kind == "end"


def test_a_long_text_is_cut_in_its_middle(tmp_path: Path) -> None:
    notice = Notice(level="info", text="begin" + "x" * 5_000 + "end")
    (entry,) = read_trajectory(write(tmp_path, [notice]), max_chars=8_000).entries
    assert entry.text.startswith("begin")
    assert entry.text.endswith("end")
    assert "4,508 characters" in entry.text


def test_no_log_is_an_empty_trajectory(tmp_path: Path) -> None:
    assert read_trajectory(tmp_path, max_chars=100).entries == ()


@settings(max_examples=60)
@given(st.binary(max_size=400), st.integers(32, 2_000))
def test_no_bytes_are_too_odd(data: bytes, max_chars: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read_trajectory(write(Path(folder), events(1), data), max_chars=max_chars)
