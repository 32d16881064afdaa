"""Kill a SWE-bench batch again and again, and see that nothing is lost and nothing done twice.

    sudo python benchmarks/swebench_faults.py
        [--instances 200] [--workers 16] [--kills 5] [--engine-restarts 1] [--reply-timeout 20]

A scripted model server breaks 10 % of its replies, drops 5 % of its connections and stalls 2 % for
ten minutes. Meanwhile the runner is killed with SIGKILL and started again by the same command, and
a Docker engine of the benchmark's own is stopped for some seconds and started. preds.json is read
every 100 ms. In the end every instance must have the status that its script says, results that were
once there must be the same files, and the engine must hold no container.

The runner is told to give a reply up after --reply-timeout seconds (RNJ_MODEL_TIMEOUT_S), so that a
stall costs that and not ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bars import say
from private_engine import PrivateEngine
from swebench_workload import IMAGE, build_image, scripted_server, write_rows

MAX_STEPS: Final = 25
_CHECK_S: Final = 0.1
_POLL_S: Final = 0.25
_ENGINE_AWAY_S: Final = 5.0
_MAX_DELAY_S: Final = 4.0
"""Between an instance's end and the kill that it triggers."""
_FAULTS: Final = ("--malformed", "0.1", "--dropped", "0.05", "--stalled", "0.02")


@dataclass(slots=True)
class Watch:
    """Reads preds.json every 100 ms, and remembers each result file as it first was."""

    root: Path
    num_checks: int = 0
    problems: list[str] = field(default_factory=list[str])
    first_seen: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    num_predictions: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._is_over.wait(_CHECK_S):
            self.look()

    def stop(self) -> None:
        self._is_over.set()

    def look(self) -> None:
        try:
            data = (self.root / "preds.json").read_bytes()
        except FileNotFoundError:
            if self.num_checks:
                self.problems.append("preds.json has gone")
            return
        self.num_checks += 1
        try:
            rows = json.loads(data, object_pairs_hook=_without_duplicates)
        except ValueError as exc:
            self.problems.append(f"preds.json: {exc}")
            return
        if len(rows) < self.num_predictions:
            self.problems.append(f"preds.json went from {self.num_predictions} to {len(rows)}")
        self.num_predictions = len(rows)
        for name in rows:
            self.first_seen.setdefault(name, self.mark(name))

    def mark(self, name: str) -> tuple[int, int]:
        """Tells a file that was written again from the one that it was."""
        about = (self.root / "instances" / name / "result.json").stat()
        return about.st_ino, about.st_mtime_ns


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


@dataclass(slots=True, kw_only=True)
class Ordeal:
    argv: list[str]
    env: Mapping[str, str]
    watch: Watch
    engine: PrivateEngine
    log: Path
    kills: list[int]
    """After so many predictions."""
    restarts: list[int]
    num_starts: int = 0

    def run(self) -> tuple[int, str]:
        """Until a runner ends by itself: its exit code and stdout."""
        while True:
            runner = self._start()
            while runner.poll() is None:
                time.sleep(_POLL_S)
                if self.restarts and self.watch.num_predictions >= self.restarts[0]:
                    self._restart_engine()
                if self.kills and self.watch.num_predictions >= self.kills[0]:
                    time.sleep(random.uniform(0, _MAX_DELAY_S))
                    runner.kill()
                    say(f"killed after {self.watch.num_predictions} predictions")
                    del self.kills[0]
                    runner.wait()
                    break
            else:
                assert runner.stdout is not None
                return runner.returncode, runner.stdout.read().decode()

    def _start(self) -> subprocess.Popen[bytes]:
        self.num_starts += 1
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.argv, env=dict(self.env), stdout=subprocess.PIPE, stderr=log
            )

    def _restart_engine(self) -> None:
        del self.restarts[0]
        say(f"the engine stops after {self.watch.num_predictions} predictions")
        self.engine.stop()
        time.sleep(_ENGINE_AWAY_S)
        self.engine.start()
        say("the engine is back")


def judge(
    root: Path, expected: Mapping[str, str], watch: Watch, engine: PrivateEngine
) -> list[str]:
    """What is not as it must be."""
    problems = list(watch.problems)
    watch.look()
    found = {
        path.parent.name: json.loads(path.read_text())
        for path in (root / "instances").glob("*/result.json")
    }
    for name, status in expected.items():
        got = found.get(name, {"status": "no result", "attempts": []})
        if got["status"] != status:
            problems.append(f"{name}: {got['status']}, not {status}: {got['attempts']}")
        if len(got["attempts"]) != 1:
            problems.append(f"{name}: {len(got['attempts'])} attempts")
    problems += [f"{name}: not asked for" for name in found.keys() - expected.keys()]
    rows = json.loads((root / "preds.json").read_text())
    if rows.keys() != expected.keys():
        problems.append(f"preds.json has {len(rows)} of {len(expected)}")
    problems += [
        f"{name}: its result was written again"
        for name, mark in watch.first_seen.items()
        if watch.mark(name) != mark
    ]
    problems += [f"left over: {line}" for line in engine.containers()]
    return problems


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--engine-restarts", type=int, default=1)
    parser.add_argument("--reply-timeout", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the run and its log")
    return parser.parse_args()


def thresholds(number: int, num_instances: int, *, shift: float) -> list[int]:
    """Evenly over the run."""
    return [int(num_instances * (index + shift) / (number + 1)) for index in range(number)]


def main() -> int:
    options = parse_options()
    random.seed(options.seed)
    build_image()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="rnj-agent-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    root, rows = folder / "run", folder / "rows.jsonl"
    expected = write_rows(rows, options.instances, all_submit=False)
    with PrivateEngine() as engine, scripted_server(*_FAULTS, "--seed", str(options.seed)) as url:
        engine.copy_image(IMAGE)
        watch = Watch(root)
        watching = threading.Thread(target=watch.run)
        watching.start()
        ordeal = Ordeal(
            argv=[
                *(sys.executable, "-m", "rnj_agent.agent.cli", "swebench", "run", str(rows)),
                *("-o", str(root), "-w", str(options.workers), "-e", url),
                *("--max-steps", str(MAX_STEPS)),
            ],
            env={
                **os.environ,
                "DOCKER_HOST": engine.url,
                "RNJ_MODEL_TIMEOUT_S": str(options.reply_timeout),
            },
            watch=watch,
            engine=engine,
            log=folder / "runner.log",
            kills=thresholds(options.kills, options.instances, shift=0.5),
            restarts=thresholds(options.engine_restarts, options.instances, shift=0.9),
        )
        started_s = time.monotonic()
        exit_code, stdout = ordeal.run()
        took_s = time.monotonic() - started_s
        watch.stop()
        watching.join()
        problems = judge(root, expected, watch, engine)
        with urllib.request.urlopen(f"{url}/served") as response:
            served = json.load(response)
    if exit_code != 0 or json.loads(stdout)["final"] != options.instances:
        problems.append(f"exit code {exit_code}: {stdout}")
    statuses = Counter(expected.values())
    print(f"instances    {options.instances}: {dict(statuses)}, {options.workers} workers")
    print(f"starts       {ordeal.num_starts}, {took_s:.0f} s in all; the log is in {folder}")
    print(f"server       {served}")
    print(f"preds.json   read {watch.num_checks} times")
    print("ok" if not problems else "\n".join(["FAIL", *problems]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
