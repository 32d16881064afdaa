"""Steps that measure the engine: as ``rnj-agent bench runtime --synthetic`` does."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from typing import Any

import torch

from benchmarks.gpu.results import StepRecorder, read_result
from benchmarks.gpu.step import Workplace, say
from rnj_agent.runtime.bench.synthetic.bench import BenchOptions, describe_device, run
from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings, measure_ceilings
from rnj_agent.runtime.bench.synthetic.figure import Figure
from rnj_agent.runtime.bench.synthetic.plan import TINY, SyntheticPlan
from rnj_agent.runtime.bench.synthetic.report import ceiling_lines, figure_fields
from rnj_agent.runtime.bench.synthetic.subject import SubjectOptions
from rnj_agent.runtime.bench.this_machine import versions
from rnj_agent.runtime.models.loading import Quant

DRY_PLAN = replace(
    TINY,
    edit_prompt_tokens=256,
    num_edit_tokens=48,
    num_decode_tokens=4,
    num_rival_tokens=8,
    num_runs=1,
)
KV_MEMORY_GIB = 80.0
"""Room for 650,000 tokens in bf16: filling all of a card with zeros takes its time, too."""


def ceilings(recorder: StepRecorder, place: Workplace) -> None:
    recorder.keep("device", describe_device(torch.device(place.device)))
    recorder.keep("versions", versions())
    measured = known_ceilings(place, measure=True)
    recorder.keep("ceilings", asdict(measured))
    for line in ceiling_lines(measured):
        recorder.note(line)


def fp8(recorder: StepRecorder, place: Workplace) -> None:
    """What the product's user gets."""
    only = {"load", "prefill", "ttft", "decode", "memory"}
    plan = replace(full_plan(place), only=frozenset(only))
    measure(recorder, place, options(place, "fp8", plan))


def bf16(recorder: StepRecorder, place: Workplace) -> None:
    """The same engine without FP8, where the bars compare."""
    full = full_plan(place)
    plan = replace(
        full,
        prefill_tokens=full.prefill_tokens[-2:-1],
        decode_contexts=full.decode_contexts[:2],
        batch_sizes=full.batch_sizes[:2],
        only=frozenset({"load", "prefill", "decode", "memory"}),
    )
    measure(recorder, place, options(place, "none", plan))


def transformers(recorder: StepRecorder, place: Workplace) -> None:
    plan = replace(full_plan(place), batch_sizes=(1,), only=frozenset())
    measure(recorder, place, replace(options(place, "fp8", plan), against="transformers"))


def speculation(recorder: StepRecorder, place: Workplace) -> None:
    plan = replace(full_plan(place), batch_sizes=(1, 8), only=frozenset({"speculation"}))
    measure(recorder, place, options(place, "fp8", plan))


def full_plan(place: Workplace) -> SyntheticPlan:
    return DRY_PLAN if place.dry_run else SyntheticPlan()


def options(place: Workplace, quant: Quant, plan: SyntheticPlan) -> BenchOptions:
    return BenchOptions(
        shape=place.shape,
        subject=subject_options(place, quant, max_num_seqs=max(plan.batch_sizes)),
        plan=plan,
    )


def subject_options(place: Workplace, quant: Quant, *, max_num_seqs: int) -> SubjectOptions:
    """Of every step."""
    chosen = SubjectOptions(device=place.device, quant=quant, max_num_seqs=max_num_seqs)
    if place.dry_run:
        return replace(chosen, context=2048)
    return replace(chosen, kv_memory_gib=KV_MEMORY_GIB)


def measure(recorder: StepRecorder, place: Workplace, chosen: BenchOptions) -> None:
    """Each figure is kept as soon as it is had."""

    def keep(figure: Figure) -> None:
        say(f"{figure.name}: {figure.value:.4g} {figure.unit}")
        recorder.figure(dict(figure_fields(figure)))

    report = run(chosen, progress=say, ceilings=known_ceilings(place), emit=keep)
    recorder.keep("device", report.device)
    for note in report.notes:
        recorder.note(note)


@cache
def _measured_ceilings(device: str) -> Ceilings:
    return measure_ceilings(torch.device(device))


def known_ceilings(place: Workplace, *, measure: bool = False) -> Ceilings:
    """As the step of that name found them, else measured now."""
    found: dict[str, Any] | None = read_result(
        place.folder / "ceilings.json", "ceilings"
    ).extra.get("ceilings")
    if found is None or measure:
        return _measured_ceilings(place.device)
    shapes: dict[str, Any] = {
        name: tuple(found[name] or ()) or None for name in ("bf16_shape", "fp8_shape")
    }
    return Ceilings(**{**found, **shapes})
