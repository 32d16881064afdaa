"""Measure the engine beside several builds of llama.cpp at their best settings, on the same file.

    python benchmarks/beside_llama_cpp.py --rival PYTHON [--rival PYTHON ...]
        [--model qwen2.5-coder-1.5b] [--rounds 3] [--only prefill decode batch] [--busy N]
        [--json FILE]

PYTHON is an interpreter that has xllamacpp or llama-cpp-python. Each build runs with flash
attention on and off, all of them are loaded at once, and each case is measured in turn: ours, the
first, the second ... A ratio is the median over the rounds against the fastest of them in that
round, so "best settings" means the best for each case. Speculation is off. With --busy, N other
processes keep cores busy meanwhile: the ratios are told, and no bar is set. Exits with 1 where a
bar is missed. On an idle machine: loading the model, then 4,096 tokens for each contestant, takes
minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bars import Bar, report, say
from other_work import other_work

from rnj_agent.runtime.machine import calm_worker_threads

GROUPS = ("prefill", "decode", "batch")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival", action="append", default=[], metavar="PYTHON")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name or a path")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes beside it")
    parser.add_argument("--json", type=Path, help="write every round there")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> list[Bar]:
    calm_worker_threads()  # before torch is imported, as the server does
    from model_speeds import ModelSpeeds
    from rival_fleet import RivalFleet

    from rnj_agent.runtime.hub import resolve

    speeds = ModelSpeeds(resolve(args.model), num_rounds=args.rounds)
    fleet = RivalFleet(args.rival, speeds.path, context=speeds.context)
    with fleet.running(say) as rivals:
        with other_work(args.busy):
            bars = speeds.beside(rivals, only=args.only, has_bars=not args.busy)
        bars += fleet.memory_bars(at_most=1.3)
    if "batch" in args.only:
        bars.append(speeds.batch())
    return bars


def main() -> int:
    args = parse_args()
    return report(measure(args), args.json)


if __name__ == "__main__":
    sys.exit(main())
