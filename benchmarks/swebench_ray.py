"""Run one SWE-bench workload here and on two local Ray nodes, in turn: equal results, and times.

    python benchmarks/swebench_ray.py [--instances 40] [--workers 16] [--rounds 1] [--commands 10]

Then once more with faults: a node is killed with what runs there, the runner is killed -9, and the
same command is given again. Every instance must end with the local run's status and patch, and no
container may be left. The nodes are processes of this machine and share its engine, so the times
tell what the executor costs, not what more machines gain.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bars import in_turn, say
from swebench_workload import build_image, docker, scripted_server, write_rows

from rnj_agent.sandbox.labels import SESSION_LABEL

_OBJECT_STORE_BYTES: Final = 100 * 1024**2
_POLL_S: Final = 0.5
_LIMIT: Final = ("--max-steps", "20")
_MODULE: Final = ("-m", "rnj_agent.agent.cli", "swebench", "run")


@dataclass
class TwoNodes:
    """Of a cluster whose head runs no attempts."""

    cluster: Any
    second: Any
    num_cpus: int

    @property
    def address(self) -> str:
        return self.cluster.address

    def kill_second(self) -> None:
        """As a machine dies: none of its processes ends in order."""
        self.cluster.remove_node(self.second, allow_graceful=False)

    def add_second(self) -> None:
        self.second = add_node(self.cluster, self.num_cpus)


def add_node(cluster: Any, num_cpus: int) -> Any:
    return cluster.add_node(num_cpus=num_cpus, object_store_memory=_OBJECT_STORE_BYTES)


@contextmanager
def two_nodes(num_cpus: int) -> Generator[TwoNodes]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster_utils = import_module("ray.cluster_utils")
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    cluster: Any = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        add_node(cluster, num_cpus)
        yield TwoNodes(cluster, add_node(cluster, num_cpus), num_cpus)
    finally:
        cluster.shutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    folder: Path
    url: str
    num_workers: int

    @property
    def rows(self) -> Path:
        return self.folder / "rows.jsonl"

    def argv(self, output: Path, nodes: TwoNodes | None) -> list[str]:
        where = ("--executor", "ray", "--ray-address", nodes.address) if nodes else ()
        told = ("-o", str(output), "-w", str(self.num_workers), "-e", self.url)
        return [sys.executable, *_MODULE, str(self.rows), *told, *_LIMIT, *where]

    def start(self, output: Path, nodes: TwoNodes | None) -> subprocess.Popen[bytes]:
        with (self.folder / "run.log").open("ab") as log:
            return subprocess.Popen(self.argv(output, nodes), stdout=log, stderr=log)

    def run(self, output: Path, nodes: TwoNodes | None) -> float:
        """Seconds of a run that must succeed."""
        started_s = time.perf_counter()
        if code := self.start(output, nodes).wait():
            log = (self.folder / "run.log").read_text()
            raise SystemExit(f"ended with {code}:\n{log[-3000:]}")
        return time.perf_counter() - started_s


def results_of(output: Path) -> dict[str, tuple[str, str]]:
    """Each instance's status and patch, without the lines that name objects."""
    predictions = json.loads((output / "preds.json").read_text())
    found: dict[str, tuple[str, str]] = {}
    for path in (output / "instances").glob("*/result.json"):
        name = path.parent.name
        patch = re.sub(r"^index .*\n", "", predictions[name]["model_patch"], flags=re.MULTILINE)
        found[name] = (json.loads(path.read_text())["status"], patch.rstrip())
    return found


def run_with_faults(work: Work, output: Path, nodes: TwoNodes, num_instances: int) -> None:
    """A node dies after a fifth, the runner after half; then the same command ends the work."""
    process = work.start(output, nodes)
    _wait_for_results(process, output, num_instances // 5)
    nodes.kill_second()
    say("killed a node")
    _wait_for_results(process, output, num_instances // 2)
    process.kill()
    process.wait()
    say(f"killed the runner at {_num_results(output)} of {num_instances}")
    nodes.add_second()
    work.run(output, nodes)


def _num_results(output: Path) -> int:
    return len(list((output / "instances").glob("*/result.json")))


def _wait_for_results(process: subprocess.Popen[bytes], output: Path, num_results: int) -> None:
    while _num_results(output) < num_results and process.poll() is None:
        time.sleep(_POLL_S)


def containers_of(*outputs: Path) -> list[str]:
    """Sessions of the runs that still have one."""
    runs = [json.loads((output / "manifest.json").read_text())["run_id"] for output in outputs]
    sessions = docker(["ps", "-a", "--format", f'{{{{.Label "{SESSION_LABEL}"}}}}']).split()
    return [session for session in sessions if session.split("/")[0] in runs]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=40)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--commands", type=int, default=10, help="before an instance submits")
    options = parser.parse_args()
    build_image()
    with (
        tempfile.TemporaryDirectory(prefix="rnj-agent-ray-") as folder,
        scripted_server("--commands", str(options.commands)) as url,
        two_nodes(options.workers // 2) as nodes,
    ):
        work = Work(folder=Path(folder), url=url, num_workers=options.workers)
        expected = write_rows(work.rows, options.instances, all_submit=False)
        outputs = {"local": [Path(folder) / "none"], "ray": [Path(folder) / "none"]}

        def once(name: str, where: TwoNodes | None) -> float:
            outputs[name].append(Path(tempfile.mkdtemp(dir=folder)))
            return work.run(outputs[name][-1], where)

        runs = {"local": lambda: once("local", None), "ray": lambda: once("ray", nodes)}
        times_s = in_turn(runs, options.rounds)
        local, ray = results_of(outputs["local"][-1]), results_of(outputs["ray"][-1])
        faulty = Path(folder) / "faulty"
        run_with_faults(work, faulty, nodes, options.instances)
        mended = results_of(faulty)
        left = containers_of(outputs["ray"][-1], faulty)
    is_expected = {name: status for name, (status, _) in local.items()} == expected
    print(f"seconds: {json.dumps(times_s)}")
    print(f"statuses as expected: {is_expected}; equal on two nodes: {ray == local}; ", end="")
    print(f"equal after faults: {mended == local}; containers left: {len(left)}")
    return 0 if is_expected and local == ray == mended and not left else 1


if __name__ == "__main__":
    sys.exit(main())
