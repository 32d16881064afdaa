"""Measure how long the app takes from its start to the first paint that has the prompt.

    python benchmarks/tui_start.py [--rounds 5]

``rnj-agent`` in an empty git repository, in a real pseudo-terminal of 120 x 40, without a model: it
loads behind the first paint. The processor time is the process's own, user and system, at the
moment the prompt is read from the terminal. Beside it two floors, measured in turn with it: Python
importing Textual's app, and the smallest Textual app that has a text area. The bar: 0.8 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tui_terminal import Terminal, keep_bytecode

PROMPT: Final = "@ files"
BARE_APP: Final = f"""
from textual.app import App
from textual.widgets import TextArea
class Bare(App[None]):
    def compose(self):
        yield TextArea(placeholder="Look at {PROMPT}")
Bare().run()
"""


class Took(NamedTuple):
    wall_s: float
    cpu_s: float


def start(arguments: list[str]) -> Took:
    with Terminal(arguments) as terminal:
        terminal.wait_for(PROMPT, within_s=60)
        return Took(time.monotonic() - terminal.started_s, terminal.cpu_s())


def app() -> Took:
    return start(["-m", "rnj_agent.agent.cli"])


def bare_app() -> Took:
    return start(["-c", BARE_APP])


def textual_import() -> Took:
    started_s = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", "import textual.app"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Took(time.monotonic() - started_s, usage.ru_utime + usage.ru_stime)


CASES: Final[dict[str, Callable[[], Took]]] = {
    "app": app,
    "bare textual app": bare_app,
    "import textual.app": textual_import,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    num_rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNJ_STATE"] = str(Path(folder) / "state")
        os.environ["RNJ_HOME"] = str(Path(folder) / "home")
        subprocess.run(["git", "init", "-q", folder], check=True)
        os.chdir(folder)
        keep_bytecode(Path(folder) / "bytecode")
        for case in CASES.values():
            case()
        rounds = [{name: case() for name, case in CASES.items()} for _ in range(num_rounds)]
    for name in CASES:
        wall_s = statistics.median(took[name].wall_s for took in rounds)
        cpu_s = statistics.median(took[name].cpu_s for took in rounds)
        print(f"{name:<20}{wall_s:.2f} s, processor {cpu_s:.2f} s (median of {num_rounds})")


if __name__ == "__main__":
    main()
