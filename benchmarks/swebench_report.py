"""Measure status and report over a large run: 500 instances, one of whose event logs is 1 GB.

    python -m benchmarks.swebench_report [--rounds 3] [--instances 500] [--attempts 1]

The run directory is synthetic; a data set of as many rows lies in it as Parquet where pyarrow is
installed, and is loaded too. Times and peak memory are those of whole processes. The bars: 10 s and
500 MB each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from benchmarks.bars import Bar, say
from rnj_agent.agent.event_json import event_to_json
from rnj_agent.agent.events import TextDelta, ToolOutputDelta
from rnj_agent.agent.swebench.run_dir import RunDir
from tests.agent.swebench.synthetic_run import Shape, instance_ids, write_run

LONG_BYTES = 1_000_000_000
MOST_S = 10.0
MOST_MB = 500.0
LOAD = """
import sys
from rnj_agent.agent.swebench.dataset import load_instances
print(len(load_instances(sys.argv[1], progress=print).instances))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    wall_s: float
    peak_mb: float


def lengthen(run: RunDir, instance_id: str) -> None:
    """Fill an attempt's log with output until it is 1 GB, before its end."""
    path = run.attempt(instance_id, 1) / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    pieces = [
        ToolOutputDelta(call_id="c1", text="compiling module 1234 of 99999 ... ok\n" * 400),
        *(TextDelta(text=" word") for _ in range(200)),
    ]
    block = "".join(f"{event_to_json(event)}\n" for event in pieces).encode()
    with path.open("wb") as file:
        file.writelines(lines[: len(lines) // 2])
        for _ in range(LONG_BYTES // len(block)):
            file.write(block)
        file.writelines(lines[len(lines) // 2 :])


def write_parquet(path: Path, num_rows: int) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [
        {
            "instance_id": instance_id,
            "repo": instance_id.rpartition("-")[0].replace("__", "/"),
            "base_commit": "0" * 40,
            "problem_statement": f"{instance_id} breaks\n" * 200,
            "patch": "+line\n" * 300,
            "test_patch": "+line\n" * 300,
            "FAIL_TO_PASS": json.dumps(["tests/test_app.py::test_it"]),
            "PASS_TO_PASS": json.dumps([f"tests/test_app.py::test_{n}" for n in range(200)]),
            "version": "1.0",
        }
        for instance_id in instance_ids(num_rows)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def make(root: Path, num_instances: int, num_attempts: int) -> None:
    shape = Shape(num_selected=num_instances, num_finished=num_instances, num_attempts=num_attempts)
    run = write_run(root, shape)
    lengthen(run, instance_ids(num_instances)[0])
    if find_spec("pyarrow") is not None:
        write_parquet(root / "rows.parquet", num_instances)


def measure(arguments: list[str]) -> Cost:
    """One process, to its end."""
    started_s = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return Cost(wall_s=time.monotonic() - started_s, peak_mb=usage.ru_maxrss * 1024 / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--attempts", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "run"
        # Elsewhere: a child's peak of memory begins with what its parent had.
        maker = get_context("spawn").Process(
            target=make, args=(root, asked.instances, asked.attempts)
        )
        maker.start()
        maker.join()
        cli = ["-m", "rnj_agent.agent.cli", "swebench"]
        variants = {
            "status": [*cli, "status", str(root)],
            "report": [*cli, "report", str(root)],
        }
        if (root / "rows.parquet").exists():
            variants["load"] = ["-c", LOAD, str(root / "rows.parquet")]
        bars = [bar for name, call in variants.items() for bar in bars_of(name, call, asked.rounds)]
        page_mb = (root / "report.html").stat().st_size / 1e6
    for bar in bars:
        print(bar.verdict())
    print(f"      the page has {page_mb:.1f} MB")
    sys.exit(not all(bar.holds for bar in bars))


def bars_of(name: str, arguments: list[str], num_rounds: int) -> list[Bar]:
    costs = [measure(arguments) for _ in range(num_rounds)]
    for cost in costs:
        say(f"{name}: {cost.wall_s:.2f} s, {cost.peak_mb:.0f} MB")
    walls_s = tuple(cost.wall_s for cost in costs)
    peaks_mb = tuple(cost.peak_mb for cost in costs)
    return [
        Bar(name=f"{name}, s", values=walls_s, at_most=MOST_S, detail="median"),
        Bar(name=f"{name}, peak MB", values=peaks_mb, at_most=MOST_MB, detail="median"),
    ]


if __name__ == "__main__":
    main()
