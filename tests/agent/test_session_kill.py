from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnj_agent.agent.history import history
from rnj_agent.agent.session import read_events
from rnj_agent.agent.session_list import summarise

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(20))
def test_a_killed_run_reads_back_whole(tmp_path: Path, seed: int):
    command = [sys.executable, "-m", "tests.agent.recorded_run", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        seen = (first + process.stdout.read()).decode().splitlines(keepends=True)

    whole = [line.strip() for line in seen if line.endswith("\n")]
    recorded = list(read_events(tmp_path / "killed"))
    assert len(whole) >= 1
    assert [event.kind for event in recorded[: len(whole)]] == whole
    assert summarise(tmp_path / "killed").finished is None
    assert all(message.role != "assistant" for message in history(recorded)[-1:])
