"""Let mixed clients at a real server for a while, a third of which hang up, and look for leaks.

    python benchmarks/soak.py [--minutes 30] [--clients 6] [--model smollm2-135m] [--json FILE]

Every ten seconds the server's memory, descriptors, threads and blocks are noted. Exits with 1 where
something leaked, an answer was wrong, or the server no longer answers. The KV cache is kept small,
so that its pages are all in use before the second half, over which growth is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from soak_clients import Soak
from soak_server import Sample, SoakServer, running_server

SAMPLE_EVERY_S = 10.0
IDLE_TIMEOUT_S = 120.0
CONTEXT = 2048
KV_MEMORY_GIB = 0.25
MAX_EXTRA_FDS = 1
MAX_POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Of the event loop's default executor (``concurrent.futures``): made when needed, then kept."""
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    name: str
    holds: bool
    detail: str


def soak(server: SoakServer, args: argparse.Namespace) -> tuple[Soak, list[Sample]]:
    """The clients' record, and samples: before, while they ran, and after."""
    clients = Soak(server.record.base_url, server.headers, server.model, args.seed)
    say("every kind of request once")
    asyncio.run(clients.once_each())
    if clients.failures:
        raise SystemExit("\n".join(["These fail without any load:", *clients.failures]))
    server.restart_clock()
    samples = [server.sample_when_idle(timeout_s=IDLE_TIMEOUT_S)]
    asyncio.run(run_and_sample(server, clients, samples, args))
    say("waiting until the server is idle")
    samples.append(server.sample_when_idle(timeout_s=IDLE_TIMEOUT_S))
    return clients, samples


async def run_and_sample(
    server: SoakServer, clients: Soak, samples: list[Sample], args: argparse.Namespace
) -> None:
    running = asyncio.create_task(clients.run(args.clients, args.minutes * 60))
    while not running.done():
        await asyncio.wait([running], timeout=SAMPLE_EVERY_S)
        if not server.is_alive:
            running.cancel()
            clients.failures.append(f"the server ended with {server.process.returncode}")
            return
        if not running.done():
            samples.append(await asyncio.to_thread(server.sample))
            say(describe(samples[-1], clients))
    await running


def verdicts(
    server: SoakServer, clients: Soak, samples: Sequence[Sample], args: argparse.Namespace
) -> list[Verdict]:
    first, last = samples[0], samples[-1]
    growth = slope_mib_per_min(samples[len(samples) // 2 : -1])
    return [
        Verdict(
            name="blocks",
            holds=last.num_used_blocks == 0,
            detail=f"{last.num_used_blocks} in use when idle",
        ),
        Verdict(
            name="replies",
            holds=last.num_running == last.num_waiting == 0,
            detail=f"{last.num_running} running, {last.num_waiting} waiting when idle",
        ),
        Verdict(
            name="descriptors",
            holds=last.num_fds <= first.num_fds + MAX_EXTRA_FDS,
            detail=f"{first.num_fds} before, {last.num_fds} after, "
            f"{max(sample.num_fds for sample in samples)} at most",
        ),
        Verdict(
            name="threads",
            holds=last.num_threads <= first.num_threads + MAX_POOL_THREADS,
            detail=f"{first.num_threads} before, {last.num_threads} after; "
            f"asyncio's pool may grow to {MAX_POOL_THREADS}",
        ),
        Verdict(
            name="memory",
            holds=growth <= args.max_growth,
            detail=f"{first.rss_bytes / MIB:.0f} MiB before, {last.rss_bytes / MIB:.0f} after; "
            f"{growth:+.2f} MiB a minute over the second half, at most {args.max_growth:g}",
        ),
        Verdict(
            name="answers",
            holds=not clients.failures and answers(server),
            detail=f"{sum(clients.outcomes.values())} requests, {len(clients.failures)} wrong"
            + "".join(f"\n        {failure}" for failure in clients.failures[:10]),
        ),
    ]


def slope_mib_per_min(samples: Sequence[Sample]) -> float:
    """Of a line through resident memory; 0 for less than two samples."""
    if len(samples) < 2:
        return 0.0
    minutes = [sample.time_s / 60 for sample in samples]
    return statistics.linear_regression(minutes, [s.rss_bytes / MIB for s in samples]).slope


def answers(server: SoakServer) -> bool:
    """Whether every kind of request still gets its answer."""
    if not server.is_alive:
        return False
    clients = Soak(server.record.base_url, server.headers, server.model, seed=0)
    asyncio.run(clients.once_each())
    return not clients.failures


def describe(sample: Sample, clients: Soak) -> str:
    return (
        f"[{sample.time_s:5.0f} s] {sum(clients.outcomes.values())} requests, "
        f"{sample.rss_bytes / MIB:.0f} MiB, {sample.num_fds} fds, {sample.num_threads} threads, "
        f"{sample.num_used_blocks} blocks used, {sample.num_running} running, "
        f"{sample.num_waiting} waiting, {len(clients.failures)} wrong"
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--model", default="smollm2-135m", help="a name or a path")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-growth", type=float, default=1.0, metavar="MIB_PER_MINUTE")
    parser.add_argument("--json", type=Path, help="write samples, outcomes and verdicts there")
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rnj-soak-"))
    say(f"starting a server; its log: {folder / 'server.log'}")
    with running_server(
        args.model, context=CONTEXT, kv_memory_gib=KV_MEMORY_GIB, folder=folder
    ) as server:
        clients, samples = soak(server, args)
        found = verdicts(server, clients, samples, args)
    for verdict in found:
        print(f"{'ok  ' if verdict.holds else 'FAIL'}  {verdict.name}: {verdict.detail}")
    if args.json is not None:
        facts = {
            "minutes": args.minutes,
            "clients": args.clients,
            "model": args.model,
            "seed": args.seed,
            "verdicts": [asdict(verdict) for verdict in found],
            "outcomes": dict(sorted(clients.outcomes.items())),
            "failures": clients.failures,
            "samples": [asdict(sample) for sample in samples],
        }
        args.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 0 if all(verdict.holds for verdict in found) else 1


if __name__ == "__main__":
    sys.exit(main())
