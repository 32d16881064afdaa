"""The engine with plans that were measured on this card, and with other prefill chunks.

What it finds is for the defaults of ``runtime/quant/fp8_plan.py`` and ``runtime/loading.py``.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from benchmarks.gpu.engine_steps import full_plan, known_ceilings, subject_options
from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.measure import Measurement
from rnj_agent.runtime.bench.synthetic.plan import SyntheticPlan
from rnj_agent.runtime.bench.synthetic.report import figure_fields
from rnj_agent.runtime.bench.synthetic.subject import SyntheticSubject, load_synthetic_model
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.models import CausalLM
from rnj_agent.runtime.numerics.probes import PROJECTIONS
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.fp8_tuning import tune

CHUNKS = (2048, 8192, 16384)
TINY_CHUNKS = (128,)


def tuned(recorder: StepRecorder, place: Workplace) -> None:
    checkpoint = SyntheticCheckpoint(place.shape)
    full = full_plan(place)
    options = subject_options(place, "fp8", max_num_seqs=max(full.batch_sizes[:2]))
    model = load_synthetic_model(checkpoint, options)
    say("tuning")
    found = [asdict(shape) for shape in tune(fp8_linears(model))]
    recorder.keep("plans", found)
    for shape in found:
        default_s, tuned_s = shape["default_s"], shape["tuned_s"]
        recorder.note(
            f"{shape['shape']}: {1e6 * default_s:.1f} us by default, {1e6 * tuned_s:.1f} us tuned, "
            f"{shape['num_weights']} weights, one row: {shape['plan']}"
        )
    subject = SyntheticSubject(model, options)
    text = SyntheticText(checkpoint)
    decodes = replace(
        full,
        decode_contexts=full.decode_contexts[:2],
        batch_sizes=full.batch_sizes[:2],
        only=frozenset({"decode"}),
    )
    _measure(recorder, place, subject, text, decodes, "tuned")
    prefill = replace(full, prefill_tokens=full.prefill_tokens[-2:-1], only=frozenset({"prefill"}))
    for chunk in TINY_CHUNKS if place.dry_run else CHUNKS:
        subject.rebuild(replace(options, prefill_chunk=chunk))
        _measure(recorder, place, subject, text, prefill, f"chunks of {chunk}")


def fp8_linears(model: CausalLM) -> list[Fp8Linear]:
    """Those that a GPU has; on a CPU they are of another kind."""
    found: list[Any] = [
        getattr(getattr(layer, part), name) for layer in model.layers for part, name in PROJECTIONS
    ]
    return [linear for linear in found if isinstance(linear, Fp8Linear)]


def _measure(
    recorder: StepRecorder,
    place: Workplace,
    subject: SyntheticSubject,
    text: SyntheticText,
    plan: SyntheticPlan,
    how: str,
) -> None:
    measurement = Measurement(
        subject, text, ceilings=known_ceilings(place), plan=plan, progress=say
    )
    for figure in measurement.figures():
        recorder.figure({**figure_fields(figure), "name": f"{figure.name}, {how}"})
