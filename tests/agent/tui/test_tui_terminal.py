"""The app in a real terminal that goes away."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

APP = """
import asyncio
from rnj_agent.agent.events import TextDelta
from rnj_agent.agent.tui.app import RnjApp
async def events():
    while True:
        yield TextDelta(text="a word ")
        await asyncio.sleep(0.01)
RnjApp(events=events()).run()
"""


def test_the_app_ends_where_its_terminal_does_while_it_draws() -> None:
    ours, theirs = pty.openpty()
    # Not the leader of a session: no SIGHUP comes, only writes fail.
    app = subprocess.Popen(
        [sys.executable, "-c", APP],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    seen = b""
    while b"word" not in seen:
        seen = seen[-10:] + os.read(ours, 1 << 16)
    os.close(ours)
    try:
        assert app.wait(timeout=60) == 0
    finally:
        app.kill()
        app.wait()
