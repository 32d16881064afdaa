"""How many small issues a harness resolves, beside its rivals, on one server.

    python -m benchmarks.resolve DATA.jsonl --base-url http://127.0.0.1:8000/v1 --api-key KEY
        --harness direct --harness ours --harness mini --mini PYTHON --out DIR
        [--split held-out] [--visible tests|examples] [--limit N] [--concurrency 8]
        [--set harness.nudges=false --name no-nudges]

Every outcome is a line in DIR/HARNESS.jsonl as soon as it is known: the same command goes on where
it was stopped. ``--report`` prints the table of what is there and runs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.resolve.direct import DirectAnswer
from benchmarks.resolve.grade import Judge, open_judge
from benchmarks.resolve.ours import OurAgent
from benchmarks.resolve.outcome import Harness, Outcome, Server
from benchmarks.resolve.statistics import HEADER, Outcomes, oracle, row
from benchmarks.resolve.tasks import Task, human_eval_fix

SAMPLING_TEMPERATURE = 0.8
"""Of the direct answers that an oracle picks from."""


def main() -> None:
    options = _parser().parse_args()
    if options.report:
        _report(options)
        return
    tasks = _tasks(options)
    asyncio.run(_run(_harnesses(options), tasks, options))
    _report(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="HumanEvalFix as JSON lines")
    parser.add_argument(
        "--languages", action="store_true", help="the repositories in other languages"
    )
    parser.add_argument("--base-url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--harness", action="append", default=[], metavar="NAME")
    parser.add_argument("--name", default="ours", help="of this variant of ours, in the table")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--option", action="append", default=[], help="of rnj-agent fix")
    parser.add_argument("--mini", type=Path, help="a Python that has mini-SWE-agent")
    parser.add_argument(
        "--steps", type=int, default=20, help="model calls at most, ours and mini's"
    )
    parser.add_argument("--split", choices=["dev", "held-out"], default="dev")
    parser.add_argument("--visible", choices=["tests", "examples"], default="tests")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reference", default="direct", help="what the others are paired with")
    parser.add_argument("--report", action="store_true")
    return parser


def _tasks(options: argparse.Namespace) -> Sequence[Task]:
    if options.languages:
        from benchmarks.resolve.languages import other_languages

        return other_languages()
    tasks = human_eval_fix(options.data, options.visible)
    chosen = [task for task in tasks if task.split == options.split]
    return chosen[options.skip :][: options.limit]


def _harnesses(options: argparse.Namespace) -> list[Harness]:
    server = Server(
        base_url=options.base_url, api_key=options.api_key, model=options.model, seed=options.seed
    )
    found: list[Harness] = []
    for name in options.harness:
        match name:
            case "direct":
                found.append(DirectAnswer(server))
            case "samples":
                found += [
                    DirectAnswer(server, temperature=SAMPLING_TEMPERATURE, sample=sample)
                    for sample in range(1, 5)
                ]
            case "mini":
                from benchmarks.resolve.mini_swe_agent import MiniSweAgent

                if options.mini is None:
                    raise SystemExit("--harness mini needs --mini: a Python that has it")
                found.append(MiniSweAgent(server, python=options.mini, max_steps=options.steps))
            case "ours":
                found.append(_ours(server, options))
            case _:
                raise SystemExit(f"no harness {name!r}: direct, samples, mini or ours")
    return found


def _ours(server: Server, options: argparse.Namespace) -> OurAgent:
    settings = dict(setting.split("=", 1) for setting in options.settings)
    words = ("--max-steps", str(options.steps), *(w for o in options.option for w in o.split()))
    return OurAgent(server, name=options.name, options=words, settings=settings)


async def _run(
    harnesses: Sequence[Harness], tasks: Sequence[Task], options: argparse.Namespace
) -> None:
    for image in sorted({task.image for task in tasks}):
        async with open_judge(image) as judge:
            for harness in harnesses:
                some = [task for task in tasks if task.image == image]
                await _run_one(harness, some, judge, options)


async def _run_one(
    harness: Harness, tasks: Sequence[Task], judge: Judge, options: argparse.Namespace
) -> None:
    done = _read(options.out, harness.name)
    left = [task for task in tasks if task.id not in done]
    gate = asyncio.Semaphore(options.concurrency)
    num_done = num_resolved = 0
    started_s = time.monotonic()

    async def solve(task: Task) -> None:
        nonlocal num_done, num_resolved
        async with gate:
            folder = options.out / harness.name / task.id.replace("/", "-")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            outcome = await harness.solve(task, folder.resolve())
        resolved = bool(outcome.patch) and await judge.resolves(task, outcome.patch)
        _append(options.out, dataclasses.replace(outcome, resolved=resolved))
        num_done, num_resolved = num_done + 1, num_resolved + resolved
        print(
            f"{harness.name}: {num_done} of {len(left)}, {num_resolved} resolved, "
            f"{time.monotonic() - started_s:.0f} s: {task.id} "
            f"{'resolved' if resolved else 'not'} ({outcome.ending}, {outcome.num_steps} steps)",
            file=sys.stderr,
            flush=True,
        )

    async with asyncio.TaskGroup() as group:
        for task in left:
            group.create_task(solve(task))


def _append(out: Path, outcome: Outcome) -> None:
    with (out / f"{outcome.harness}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(outcome)) + "\n")


def _read(out: Path, name: str) -> Outcomes:
    file = out / f"{name}.jsonl"
    if not file.exists():
        return {}
    rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
    return {row["task_id"]: Outcome(**row) for row in rows}


def _report(options: argparse.Namespace) -> None:
    """Of all harnesses that have run, over the tasks that all of them have."""
    found = {
        file.stem: _read(options.out, file.stem) for file in sorted(options.out.glob("*.jsonl"))
    }
    samples = [
        found.pop(f"direct-{number}") for number in range(1, 5) if f"direct-{number}" in found
    ]
    if len(samples) == 4:
        found["direct, best of 4 by an oracle"] = oracle(samples, "oracle")
    reference = found.get(options.reference)
    print(HEADER)
    for name, outcomes in found.items():
        print(row(name, outcomes, reference))


if __name__ == "__main__":
    main()
