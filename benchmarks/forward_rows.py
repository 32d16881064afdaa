"""Measure what a forward pass costs by its rows: a step that verifies guesses has several.

    python benchmarks/forward_rows.py [--model qwen2.5-coder-1.5b] [--context 128] [--rounds 5]

Rows of one sequence, behind tokens that are cached. Exits with 1 where 4 rows cost more than 1.4 x
one row.
"""

from __future__ import annotations

import argparse
import sys

from bars import Bar, report, say

from rnj_agent.runtime.machine import calm_worker_threads

ROW_COUNTS = (1, 2, 4, 8, 16)
PASSES_PER_ROUND = 5
ROWS_4_AT_MOST = 1.4


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="a name or a path")
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> Bar:
    calm_worker_threads()  # before torch is imported, as the server does
    from row_passes import RowPasses

    from rnj_agent.runtime.hub import resolve

    passes = RowPasses(resolve(args.model), context=args.context, max_rows=max(ROW_COUNTS))
    times_s: dict[int, list[float]] = {count: [] for count in ROW_COUNTS}
    for number in range(args.rounds):
        for count in ROW_COUNTS:
            times_s[count].append(min(passes.seconds(count) for _ in range(PASSES_PER_ROUND)))
        shown = ", ".join(f"{count}: {1e3 * found[-1]:.1f}" for count, found in times_s.items())
        say(f"round {number + 1}, ms by rows: {shown}")
    fastest = ", ".join(f"{count}: {1e3 * min(found):.1f}" for count, found in times_s.items())
    return Bar(
        name="a forward of 4 rows / of 1",
        values=tuple(a / b for a, b in zip(times_s[4], times_s[1], strict=True)),
        at_most=ROWS_4_AT_MOST,
        detail=f"the fastest, ms by rows: {fastest}",
    )


def main() -> int:
    return report([measure(parse_args())], None)


if __name__ == "__main__":
    sys.exit(main())
