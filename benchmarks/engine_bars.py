"""Measure what the engine promises of an agent's steps and of attempts made at once.

    python benchmarks/engine_bars.py agent-step | parallel-attempts | all
        [--model qwen2.5-coder-1.5b] [--rounds 5] [--json FILE] [--http URL --key KEY]

The real engine in this process, the real model, on an idle machine. Variants are measured in turn,
A B C A B C; a ratio is the median over the rounds. Exits with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bars import Bar, report, say

from rnj_agent.runtime.machine import calm_worker_threads

WINDOW = 8192


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["agent-step", "parallel-attempts", "all"])
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name or a path")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-speculation", action="store_false", dest="speculation")
    parser.add_argument("--json", type=Path, help="write every round there")
    parser.add_argument("--http", metavar="URL", help="parallel attempts through a server")
    parser.add_argument("--key", default="", help="of that server")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> list[Bar]:
    calm_worker_threads()  # before torch is imported, as the server does
    from agent_step import agent_step
    from parallel_attempts import parallel_attempts, parallel_attempts_over_http

    from rnj_agent.runtime.bench.subject import load_subject
    from rnj_agent.runtime.hub import resolve
    from rnj_agent.runtime.loading import LoadOptions

    if args.http:
        return parallel_attempts_over_http(args.http, args.key, args.rounds)
    options = LoadOptions(context=WINDOW, speculation=args.speculation)
    subject = load_subject(resolve(args.model), options=options, progress=say)
    bars: list[Bar] = []
    if args.what in {"agent-step", "all"}:
        bars += agent_step(subject, args.rounds)
    if args.what in {"parallel-attempts", "all"}:
        bars += parallel_attempts(subject, args.rounds)
    return bars


def main() -> int:
    args = parse_args()
    return report(measure(args), args.json)


if __name__ == "__main__":
    sys.exit(main())
