"""Old sessions lose their saved files, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from click.testing import CliRunner

from rnj_agent.agent.cli.sessions import command
from rnj_agent.agent.live.pruning import MAX_AGE_S, prune_files
from rnj_agent.agent.session import EVENTS, SessionWriter, read_events, sessions_dir
from tests.agent.live.conftest import OpenSession
from tests.agent.tui.demo_session import run_started

KIB = 1024


def saved_session(name: str, *, age_s: float = 0.0, num_bytes: int = KIB) -> SessionWriter:
    """One that is still open."""
    writer = SessionWriter.create(name)
    writer.write(run_started("fix it"))
    packs = writer.directory / "packs"
    packs.mkdir()
    (packs / "00000-abc.pack").write_bytes(b"x" * num_bytes)
    then_s = time.time() - age_s
    os.utime(writer.directory / EVENTS, (then_s, then_s))
    return writer


def closed_session(name: str, *, age_s: float = 0.0, num_bytes: int = KIB) -> Path:
    writer = saved_session(name, age_s=age_s, num_bytes=num_bytes)
    writer.close()
    return writer.directory


def with_files() -> set[str]:
    return {packs.parent.name for packs in sessions_dir().glob("*/packs")}


def test_the_old_go_first_and_then_what_is_too_much() -> None:
    closed_session("ancient", age_s=MAX_AGE_S + 60)
    closed_session("older", age_s=600)
    closed_session("newer", age_s=60)
    pruned = prune_files(max_bytes=2 * KIB, is_dry=True)
    assert [saved.directory.name for saved in pruned] == ["ancient"]
    assert with_files() == {"ancient", "older", "newer"}
    pruned = prune_files(max_bytes=KIB)
    assert [(saved.directory.name, saved.num_bytes) for saved in pruned] == [
        ("older", KIB),
        ("ancient", KIB),
    ]
    assert with_files() == {"newer"}
    assert len(list(read_events(sessions_dir() / "ancient"))) == 1


def test_a_session_that_is_open_keeps_its_files() -> None:
    writer = saved_session("open", age_s=MAX_AGE_S + 60)
    assert not prune_files()
    writer.close()
    assert [saved.directory.name for saved in prune_files()] == ["open"]


async def test_each_session_that_begins_makes_room(open_session: OpenSession) -> None:
    closed_session("ancient", age_s=MAX_AGE_S + 60)
    async with open_session(["Done."]) as session:
        session.send("go")
        await session.idle()
    assert "ancient" not in with_files()


def test_the_command_says_what_it_removed() -> None:
    closed_session("20261001-000000-aaaaaa", age_s=2 * 24 * 3600, num_bytes=3 * KIB * KIB)
    told = CliRunner().invoke(command, ["prune", "--days", "1", "--dry-run"])
    assert "would remove the files of 1 session, 3.0 MiB" in told.output
    told = CliRunner().invoke(command, ["prune", "--gib", "0"])
    assert told.output.splitlines() == [
        "20261001-000000-aaaaaa  3.0 MiB",
        "removed the files of 1 session, 3.0 MiB",
    ]
    assert not with_files()
