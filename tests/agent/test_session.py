from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event, RunFinished, TextDelta
from rnj_agent.agent.history import history
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.session import (
    SessionWriter,
    new_session_id,
    read_events,
    sessions_dir,
)
from rnj_agent.agent.session_list import find_session, list_sessions
from tests.agent.loop_runs import SUBMIT, bash, finish, make_loop, make_task, run


async def recorded(parent: Path, session_id: str = "20260101-000000-aaaaaa") -> list[Event]:
    writer = SessionWriter.create(session_id, parent)
    return await run(make_loop([bash("ls"), SUBMIT], recorder=writer), make_task())


async def test_what_is_on_disk_is_what_was_seen(tmp_path: Path):
    seen = await recorded(tmp_path)
    assert list(read_events(tmp_path / "20260101-000000-aaaaaa")) == seen


async def test_the_history_comes_back_from_disk(tmp_path: Path):
    model = ScriptedModel([bash("ls"), "no call", SUBMIT])
    writer = SessionWriter.create("x", tmp_path)
    await run(make_loop(model, recorder=writer))
    sent = list(model.requests[-1].messages)
    assert history(read_events(tmp_path / "x"))[: len(sent)] == sent


async def test_a_torn_last_line_loses_nothing_else(tmp_path: Path):
    seen = await recorded(tmp_path)
    path = tmp_path / "20260101-000000-aaaaaa" / "events.jsonl"
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for num_torn in (1, 2, last - 1):
        path.write_bytes(whole[:-num_torn])
        assert list(read_events(path.parent)) == seen[:-1]


def test_a_damaged_line_in_the_middle_is_told(tmp_path: Path):
    writer = SessionWriter.create("x", tmp_path)
    writer.write(TextDelta(text="a"))
    writer.close()
    path = tmp_path / "x" / "events.jsonl"
    path.write_bytes(b"garbage\n" + path.read_bytes())
    with pytest.raises(SessionError, match="line 1"):
        list(read_events(path.parent))


async def test_a_full_disk_ends_the_run_in_order():
    writer = SessionWriter(Path("/dev"), os.open("/dev/full", os.O_WRONLY))
    model = ScriptedModel([bash("ls"), SUBMIT])
    events = await run(make_loop(model, recorder=writer))
    done = finish(events)
    assert done.reason == "internal_error"
    assert "No space left on device" in done.detail
    assert "RNJ_STATE" in done.detail
    assert not model.requests


class _FillsUp(SessionWriter):
    """A disk that has room for so many events."""

    num_left = 0

    def write(self, event: Event) -> None:
        if self.num_left == 0:
            os.close(self._descriptor)
            self._descriptor = os.open("/dev/full", os.O_WRONLY)
        self.num_left -= 1
        super().write(event)


@pytest.mark.parametrize("room", [1, 4, 9, 20])
async def test_a_disk_that_fills_up_keeps_every_whole_event(tmp_path: Path, room: int):
    writer = _FillsUp.create("x", tmp_path)
    writer.num_left = room
    events = await run(make_loop([bash("ls"), bash("pwd"), SUBMIT], recorder=writer))
    assert finish(events).reason == "internal_error"
    assert list(read_events(tmp_path / "x")) == events[:room]


def test_a_session_is_private_and_never_overwritten(tmp_path: Path):
    SessionWriter.create("x", tmp_path / "deep").close()
    assert (tmp_path / "deep" / "x").stat().st_mode & 0o077 == 0
    with pytest.raises(SessionError, match="cannot be saved"):
        SessionWriter.create("x", tmp_path / "deep")


def test_ids_sort_by_time():
    early = new_session_id(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    late = new_session_id(datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC))
    assert early < late
    assert early.startswith("20260102-030405-")


def test_the_state_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("RNJ_STATE", str(tmp_path))
    assert sessions_dir() == tmp_path / "sessions"


async def test_sessions_are_listed_newest_first_whatever_state_they_are_in(tmp_path: Path):
    await recorded(tmp_path, "20260101-000000-aaaaaa")
    SessionWriter.create("20260102-000000-bbbbbb", tmp_path).close()
    (tmp_path / "20260103-000000-cccccc").mkdir()
    newest, empty, whole = list_sessions(tmp_path)
    assert (newest.started, empty.started) == (None, None)
    assert whole.started is not None
    assert isinstance(whole.finished, RunFinished)
    assert list_sessions(tmp_path / "nowhere") == []


async def test_a_session_is_found_by_a_part_of_its_id(tmp_path: Path):
    await recorded(tmp_path, "20260101-000000-aaaaaa")
    SessionWriter.create("20260102-000000-bbbbbb", tmp_path).close()
    for name in ("20260101", "aaaaaa", "20260101-000000-aaaaaa"):
        assert find_session(name, tmp_path).id == "20260101-000000-aaaaaa"
    assert find_session("last", tmp_path).id == "20260102-000000-bbbbbb"
    with pytest.raises(SessionError, match="2 sessions"):
        find_session("2026", tmp_path)
    with pytest.raises(SessionError, match="no session"):
        find_session("1999", tmp_path)
