"""One process of the programme: runs the steps it is told, and writes what they find."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from benchmarks.gpu.results import StepRecorder, read_result

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "tests": "kernel_tests",
        "ceilings": "engine_steps",
        "fp8": "engine_steps",
        "bf16": "engine_steps",
        "transformers": "engine_steps",
        "speculation": "engine_steps",
        "tuned": "tuned_step",
        "load": "load_step",
        "sessions": "sessions_step",
        "numerics": "numerics_step",
        "products": "product_sweep",
        "attention": "attention_sweep",
        "profile": "profile_step",
    }
)
"""Each has a function with the step's name, or one called ``run_`` and the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where a step runs, and what of it is known."""

    dry_run: bool
    folder: Path
    """For large files, and for other steps' results."""
    limit_s: float

    @property
    def device(self) -> str:
        return "cpu" if self.dry_run else "cuda"

    @property
    def shape(self) -> str:
        return "rnj-1-tiny" if self.dry_run else "rnj-1"


Run: TypeAlias = Callable[[StepRecorder, Workplace], None]


def run_step(name: str, place: Workplace) -> None:
    """Whatever goes wrong is written down."""
    recorder = StepRecorder(place.folder / f"{name}.json", name)
    begun = time.monotonic()
    print(f"--- {name}", flush=True)
    try:
        module = import_module(f"benchmarks.gpu.{MODULES[name]}")
        run: Run = getattr(module, f"run_{name}", None) or getattr(module, name)
        run(recorder, place)
        recorder.result.status = "ok"
    except Exception:  # noqa: BLE001 - an edge: other steps go on
        recorder.result.status = "failed"
        recorder.result.error = traceback.format_exc()
        print(recorder.result.error, flush=True)
    recorder.result.seconds = time.monotonic() - begun
    recorder.save()


def say(line: str) -> None:
    """Progress, for the log."""
    print(f"[{time.monotonic():9.1f}] {line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(MODULES))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--limit-s", type=float, default=600.0)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()

    from rnj_agent.runtime.machine import calm_worker_threads

    calm_worker_threads()
    place = Workplace(dry_run=args.dry_run, folder=args.work, limit_s=args.limit_s)
    for name in args.names:
        run_step(name, place)
    results = [read_result(args.work / f"{name}.json", name) for name in args.names]
    return int(any(result.status != "ok" for result in results))


if __name__ == "__main__":
    sys.exit(main())
