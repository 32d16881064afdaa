"""Measures cases in turn, ours, the rival, ours, the rival, as often as the plan allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rnj_agent.runtime.bench.cases import Case, FigureSpec
from rnj_agent.runtime.bench.contestant import Contestant
from rnj_agent.runtime.bench.plan import Plan
from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.report import Figure
from rnj_agent.runtime.bench.subject import Subject

Progress = Callable[[str], None]


def measure_case(
    case: Case,
    subject: Subject,
    rival: Contestant | None,
    prompts: Prompts,
    *,
    plan: Plan,
    progress: Progress,
) -> list[Figure]:
    """One figure for each of the case's specs.

    Raises:
        RivalError: the rival failed; nothing of this case counts then.
        RnjRuntimeError: we did.
    """
    contestants: list[Contestant] = [subject] if rival is None else [subject, rival]
    runs: list[list[tuple[float, ...]]] = [[] for _ in contestants]
    begun = time.perf_counter()
    for run in range(plan.num_runs):
        progress(f"{case.name}: run {run + 1} of up to {plan.num_runs}")
        for contestant, values in zip(contestants, runs, strict=True):
            values.append(case.measure(contestant, prompts, run))
        elapsed_s = time.perf_counter() - begun
        if elapsed_s * (run + 2) / (run + 1) > plan.case_budget_s:
            break
    return [
        _figure(case, number, spec, runs, subject=subject) for number, spec in enumerate(case.specs)
    ]


def _figure(
    case: Case,
    number: int,
    spec: FigureSpec,
    runs: Sequence[Sequence[tuple[float, ...]]],
    *,
    subject: Subject,
) -> Figure:
    ours, *others = (tuple(values[number] for values in contestant) for contestant in runs)
    return Figure(
        group=case.group,
        name=spec.name,
        unit=spec.unit,
        ours=ours,
        rival=others[0] if others else (),
        bytes_per_token=subject.bytes_per_token(spec.contexts) if spec.contexts else None,
    )
