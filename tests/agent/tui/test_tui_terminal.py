"""The app in a real terminal: one that goes away, one that stands still, one beside a file."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

APP = """
import asyncio, sys
from pathlib import Path
from rnj_agent.agent.events import TextDelta
from rnj_agent.agent.tui.app import RnjApp
async def events():
    number = 0
    while not Path("stop").exists():
        number += 1
        yield TextDelta(text=f"word{number} ")
        if number % 10 == 0:
            Path("progress").write_text(str(number))
        await asyncio.sleep(0.005)
    yield TextDelta(text="lastword")
print("to stderr", file=sys.stderr)
RnjApp(events=events()).run()
"""
TOO_MANY = 600
"""Pieces: about three seconds of frames, many times what Textual's queue holds."""


@contextmanager
def app_in_terminal(
    cwd: Path, *, stderr: int | IO[bytes] | None = None, env: Mapping[str, str] | None = None
) -> Generator[tuple[int, subprocess.Popen[bytes]]]:
    """The app, and our end of its terminal, which the test closes."""
    ours, theirs = pty.openpty()
    # Not the leader of a session: no SIGHUP comes, only writes fail.
    app = subprocess.Popen(
        [sys.executable, "-c", APP],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if stderr is None else stderr,
        cwd=cwd,
        env={**os.environ, "TERM": "xterm-256color", **(env or {})},
    )
    os.close(theirs)
    try:
        yield ours, app
    finally:
        app.kill()
        app.wait()


def read_until(terminal: int, word: bytes, within_s: float = 60) -> None:
    seen, until_s = b"", time.monotonic() + within_s
    while word not in seen:
        assert select.select([terminal], [], [], max(0, until_s - time.monotonic()))[0], word
        seen = seen[-len(word) :] + os.read(terminal, 1 << 16)


def wait_for_progress(cwd: Path, number: int, within_s: float = 60) -> None:
    until_s, progress = time.monotonic() + within_s, cwd / "progress"
    while not progress.exists() or int(progress.read_text() or 0) < number:
        assert time.monotonic() < until_s, "the app does not go on"
        time.sleep(0.05)


def test_the_app_ends_where_its_terminal_does_while_it_draws(tmp_path: Path) -> None:
    with app_in_terminal(tmp_path) as (terminal, app):
        read_until(terminal, b"word")
        os.close(terminal)
        assert app.wait(timeout=60) == 0


def test_where_the_terminal_stands_still_the_agent_goes_on_and_the_screen_catches_up(
    tmp_path: Path,
) -> None:
    with app_in_terminal(tmp_path) as (terminal, app):
        read_until(terminal, b"word1 ")
        wait_for_progress(tmp_path, TOO_MANY)  # while nobody reads
        (tmp_path / "stop").touch()
        read_until(terminal, b"lastword")
        os.write(terminal, b"\x11")  # Ctrl+Q
        read_until(terminal, b"\x1b[?1049l")  # the terminal is given back
        assert app.wait(timeout=60) == 0
        os.close(terminal)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_stderr_may_go_to_a_file_and_the_terminal_may_know_few_letters(
    tmp_path: Path, encoding: str
) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as stderr,
        app_in_terminal(tmp_path, stderr=stderr, env={"PYTHONIOENCODING": encoding}) as (
            terminal,
            app,
        ),
    ):
        read_until(terminal, b"word")
        os.close(terminal)
        assert app.wait(timeout=60) == 0
    assert log.read_text() == "to stderr\n"
