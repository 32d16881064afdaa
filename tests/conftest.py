"""What holds for every test: calm threads, and the signals of an ordinary terminal."""

from __future__ import annotations

import signal

import pytest

from rnj_agent.runtime.machine import calm_worker_threads

calm_worker_threads()  # before torch: tests then take twice as long beside other work, not forever


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """A shell starts background jobs with SIGINT ignored, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
