"""Runs the steps one after the other, each in its own process, within the minutes that there are.

Does not import torch: what a step breaks must not reach it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from benchmarks.gpu.results import StepResult, read_result, write_json
from benchmarks.gpu.summary import missed, summary

ROOT = Path(__file__).resolve().parents[2]
MIN_STEP_S = 10.0
"""With less left a step is not begun."""
KILL_AFTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    limit_s: float
    """On a card."""


STEPS = (
    Step(name="tests", limit_s=170),
    Step(name="ceilings", limit_s=60),
    Step(name="fp8", limit_s=170),
    Step(name="bf16", limit_s=100),
    Step(name="transformers", limit_s=200),
    Step(name="speculation", limit_s=90),
    Step(name="tuned", limit_s=150),
    Step(name="load", limit_s=120),
    Step(name="sessions", limit_s=100),
    Step(name="numerics", limit_s=120),
    Step(name="products", limit_s=120),
    Step(name="attention", limit_s=90),
    Step(name="profile", limit_s=90),
)
"""In order of worth."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    names = [step.name for step in STEPS]
    parser = argparse.ArgumentParser(description="See programme.py.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--only", nargs="+", choices=names, metavar="STEP", help=", ".join(names))
    parser.add_argument("--minutes", type=float, default=9.0, help="for all steps together")
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes on a CPU")
    parser.add_argument("--work", type=Path, help="folder for large files; a temporary one")
    return parser.parse_args(argv)


class Driver:
    """Grows results, and writes all of them after each step."""

    def __init__(self, args: argparse.Namespace, work: Path, log: TextIO) -> None:
        self._args = args
        self._work = work
        self._log = log
        self._deadline = time.monotonic() + 60 * args.minutes
        self._date = datetime.now(UTC).isoformat(timespec="minutes")
        self._results: list[StepResult] = []

    def run(self) -> int:
        steps = [step for step in STEPS if not self._args.only or step.name in self._args.only]
        if self._args.dry_run:  # torch is imported once, not a dozen times
            self._results += self._run_child(steps, self._left_s())
            self._write()
        else:
            for step in steps:
                self._results.append(self._run_step(step))
                self._write()
        print(self._summary())
        failed = any(result.status != "ok" for result in self._results)
        return int(failed or (missed(self._results) and not self._args.dry_run))

    def _run_step(self, step: Step) -> StepResult:
        left_s = self._left_s()
        if left_s < MIN_STEP_S:
            return StepResult(name=step.name, status="skipped", error="no time was left")
        (result,) = self._run_child([step], min(step.limit_s, left_s))
        say(f"{step.name}: {result.status} after {result.seconds:.0f} s")
        return result

    def _run_child(self, steps: Sequence[Step], limit_s: float) -> list[StepResult]:
        names = [step.name for step in steps]
        say(f"{', '.join(names)}: up to {limit_s:.0f} s")
        argv = [sys.executable, "-m", "benchmarks.gpu.step", *names, "--work", str(self._work)]
        argv += ["--limit-s", str(limit_s)]
        environment = dict(os.environ)
        if self._args.dry_run:
            argv.append("--dry-run")
            environment["TRITON_INTERPRET"] = "1"
            environment["RNJ_ISA"] = "none"  # nothing is to be compiled for this processor
        begun = time.monotonic()
        timed_out = False
        child = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            child.wait(limit_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            end_group(child)
        seconds = time.monotonic() - begun
        return [self._result(name, child, timed_out, seconds) for name in names]

    def _result(
        self, name: str, child: subprocess.Popen[bytes], timed_out: bool, seconds: float
    ) -> StepResult:
        result = read_result(self._work / f"{name}.json", name)
        if result.status == "running":
            result.status = "timeout" if timed_out else "failed"
            result.error = result.error or f"ended with {child.returncode}; see log.txt"
            result.seconds = seconds
        return result

    def _left_s(self) -> float:
        return self._deadline - time.monotonic()

    def _write(self) -> None:
        steps = [asdict(result) for result in self._results]
        write_json(self._args.out / "results.json", {"date": self._date, "steps": steps})
        (self._args.out / "summary.md").write_text(self._summary())

    def _summary(self) -> str:
        known = (result.extra.get("device") for result in self._results)
        device = next((name for name in known if name), "unknown device")
        return summary(self._results, device=device, date=self._date)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """The step and what it started: asked first, then killed."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary, (args.out / "log.txt").open("a") as log:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        return Driver(args, work, log).run()


if __name__ == "__main__":
    sys.exit(main())
