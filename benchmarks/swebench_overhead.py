"""Measure a SWE-bench batch beside mini-SWE-agent's: wall time of the same work, and memory.

    python benchmarks/swebench_overhead.py --mini VENV/bin/mini-extra
        [--instances 200] [--workers 16] [--rounds 3] [--commands 20] [--memory-workers 64]

The same scripted server without faults, image, commands and number of workers, in turn, medians;
each program with its own prompts, tools and way of running a command. mini-SWE-agent (2.4.6) is
in a virtual environment of its own. Times include start and end of the program, imports and all;
what mini-SWE-agent leaves to be stopped in the background is waited for, not counted. Memory is the
runner's peak resident set (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bars import Bar, bar, in_turn, say
from swebench_workload import build_image, docker, scripted_server, write_rows

MAX_RATIO: Final = 0.5
MAX_MEMORY_MB: Final = 300.0
_POLL_S: Final = 0.1
_CONFIG: Final = """
model:
  model_name: openai/scripted
  cost_tracking: ignore_errors
  model_kwargs: {{api_base: "{url}", api_key: none, drop_params: true}}
"""
_QUIET: Final = {
    "MSWEA_CONFIGURED": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    folder: Path
    """Of this measurement; the rows alone lie in its ``data``."""
    url: str
    num_workers: int

    @property
    def rows(self) -> Path:
        return self.folder / "data" / "rows.jsonl"

    def ours(self, output: Path, *, num_workers: int | None = None) -> list[str]:
        return [
            *(sys.executable, "-m", "rnj_agent.agent.cli", "swebench", "run", str(self.rows)),
            *("-o", str(output), "-w", str(num_workers or self.num_workers), "-e", self.url),
        ]

    def minis(self, mini: Path, output: Path) -> list[str]:
        config = self.folder / "mini.yaml"
        config.write_text(_CONFIG.format(url=self.url))
        return [
            *(str(mini), "swebench", "--subset", str(self.rows.parent), "--split", "train"),
            *("-o", str(output), "-w", str(self.num_workers)),
            *("-c", "swebench.yaml", "-c", str(config)),
        ]

    def output(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


def run(argv: list[str], log: Path) -> float:
    """Seconds of a program that must succeed."""
    started_s = time.perf_counter()
    with log.open("wb") as out:
        done = subprocess.run(
            argv, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **_QUIET}, check=False
        )
    took_s = time.perf_counter() - started_s
    if done.returncode != 0:
        raise SystemExit(f"{argv[0]} ended with {done.returncode}:\n{log.read_text()[-3000:]}")
    return took_s


def check_patches(output: Path, num_instances: int) -> set[str]:
    """The patches of all instances, without the lines that say where.

    Raises:
        SystemExit: some instance has none.
    """
    rows = json.loads((output / "preds.json").read_text())
    patches = [row["model_patch"] for row in rows.values()]
    if len(patches) != num_instances or not all(patches):
        raise SystemExit(f"{output}: {sum(map(bool, patches))} of {num_instances} patches")
    return {re.sub(r"^index .*\n", "", patch, flags=re.MULTILINE).rstrip() for patch in patches}


def wait_for_minis_containers() -> None:
    while docker(["ps", "-aq", "--filter", "name=minisweagent-"]):
        time.sleep(1.0)


def peak_memory_mb(argv: list[str], log: Path) -> float:
    """Of one run of ours, its largest resident set."""
    peak_kb = 0
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            peak_kb = max(peak_kb, int(found[1]) if found else 0)
            time.sleep(_POLL_S)
    if process.returncode != 0:
        raise SystemExit(f"ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    return peak_kb * 1024 / 1e6


def measure_overhead(work: Workload, mini: Path, num_instances: int, num_rounds: int) -> Bar:
    seen: set[str] = set()

    def ours() -> float:
        output = work.output()
        took_s = run(work.ours(output), work.folder / "ours.log")
        seen.update(check_patches(output, num_instances))
        return took_s

    def minis() -> float:
        output = work.output()
        took_s = run(work.minis(mini, output), work.folder / "mini.log")
        seen.update(check_patches(output, num_instances))
        wait_for_minis_containers()
        return took_s

    times_s = in_turn({"rnj-agent": ours, "mini-SWE-agent": minis}, num_rounds)
    if len(seen) != 1:
        raise SystemExit(f"the patches differ: {seen}")
    return bar(
        "wall time over mini-SWE-agent's",
        times_s,
        "rnj-agent",
        "mini-SWE-agent",
        at_most=MAX_RATIO,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mini", type=Path, required=True, help="mini-extra of 2.4.6")
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--commands", type=int, default=20, help="before an instance submits")
    parser.add_argument("--memory-workers", type=int, default=64)
    options = parser.parse_args()
    build_image()
    with (
        tempfile.TemporaryDirectory(prefix="rnj-agent-overhead-") as folder,
        scripted_server("--commands", str(options.commands)) as url,
    ):
        work = Workload(folder=Path(folder), url=url, num_workers=options.workers)
        work.rows.parent.mkdir()
        write_rows(work.rows, options.instances, all_submit=True)
        overhead = measure_overhead(work, options.mini, options.instances, options.rounds)
        argv = work.ours(work.output(), num_workers=options.memory_workers)
        peak_mb = peak_memory_mb(argv, work.folder / "memory.log")
    memory = Bar(
        name="MB of memory at its peak",
        values=(peak_mb,),
        at_most=MAX_MEMORY_MB,
        detail=f"{options.memory_workers} workers",
    )
    say(f"per round: {', '.join(f'{value:.3f}' for value in overhead.values)}")
    say(f"median ratio {statistics.median(overhead.values):.3f}")
    for each in (overhead, memory):
        print(each.verdict())
    return 0 if overhead.holds and memory.holds else 1


if __name__ == "__main__":
    sys.exit(main())
