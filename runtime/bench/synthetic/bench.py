"""Measures a synthetic model: what its device can do, then every figure as a share of that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import torch

from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings, measure_ceilings
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.figure import Figure
from rnj_agent.runtime.bench.synthetic.measure import Measurement, Progress
from rnj_agent.runtime.bench.synthetic.plan import SyntheticPlan
from rnj_agent.runtime.bench.synthetic.report import SyntheticReport
from rnj_agent.runtime.bench.synthetic.rival import transformers_rival
from rnj_agent.runtime.bench.synthetic.speculation import measure_speculation
from rnj_agent.runtime.bench.synthetic.subject import (
    SubjectOptions,
    SyntheticSubject,
    check_weights_fit,
    load_synthetic_model,
)
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.bench.this_machine import describe_machine, versions
from rnj_agent.runtime.memory_budget import weights_size

Rivals: TypeAlias = Literal["transformers"]
RIVAL_CONTEXT: Final = 1024
RIVAL_SALT: Final = 3
RIVAL_WORK_BYTES: Final = 4 * 2**30
"""Of its cache and activations."""
_GIB = 2**30
Emit: TypeAlias = Callable[[Figure], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    shape: str = "rnj-1"
    num_layers: int | None = None
    subject: SubjectOptions
    plan: SyntheticPlan
    against: Rivals | None = None


def run(
    options: BenchOptions,
    *,
    progress: Progress,
    ceilings: Ceilings | None = None,
    emit: Emit | None = None,
) -> SyntheticReport:
    """Make the model, and measure it.

    Args:
        options: what, how and where.
        progress: is told in lines what takes so long.
        ceilings: those of this device, where they are known already.
        emit: is given each figure as soon as it is had.

    Raises:
        RnjRuntimeError: it does not fit, or the engine failed.
    """
    bench = _Bench(options, progress, ceilings, emit)
    bench.measure()
    return bench.report()


class _Bench:
    def __init__(
        self,
        options: BenchOptions,
        progress: Progress,
        ceilings: Ceilings | None,
        emit: Emit | None,
    ) -> None:
        self._options = options
        self._progress = progress
        self._emit = emit
        self._device = torch.device(options.subject.device)
        self._checkpoint = SyntheticCheckpoint(options.shape, num_layers=options.num_layers)
        self._text = SyntheticText(self._checkpoint)
        self._figures: list[Figure] = []
        self._notes: list[str] = []
        self._ceilings = ceilings

    def measure(self) -> None:
        plan = self._options.plan
        check_weights_fit(self._checkpoint, self._options.subject)
        if self._ceilings is None:
            self._progress("measuring what this device can do")
            self._ceilings = measure_ceilings(self._device)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
        subject = self._load()
        whole = SyntheticCheckpoint(self._options.shape).config
        is_cut = self._checkpoint.config.num_hidden_layers < whole.num_hidden_layers
        measurement = Measurement(
            subject,
            self._text,
            ceilings=self._ceilings,
            plan=plan,
            progress=self._progress,
            whole_config=whole if is_cut else None,
        )
        self._take(measurement.figures())
        self._notes += measurement.notes
        if self._options.against is not None:
            self._take(self._against_transformers(subject))
        if "speculation" in plan.only:
            self._take(measure_speculation(subject, self._text, plan=plan, progress=self._progress))

    def report(self) -> SyntheticReport:
        assert self._ceilings is not None
        shape, subject = self._options.shape, self._options.subject
        config = self._checkpoint.config
        return SyntheticReport(
            model=f"random {shape}, {config.num_hidden_layers} layers, "
            f"{'bf16' if subject.quant == 'none' else subject.quant} weights, "
            f"{subject.kv_dtype} keys and values",
            device=describe_device(self._device),
            date=datetime.now(UTC).isoformat(timespec="minutes"),
            versions=versions(),
            ceilings=self._ceilings,
            figures=tuple(self._figures),
            notes=tuple(self._notes),
        )

    def _take(self, figures: Iterator[Figure]) -> None:
        for figure in figures:
            self._figures.append(figure)
            if self._emit is not None:
                self._emit(figure)

    def _load(self) -> SyntheticSubject:
        self._progress("making the weights")
        begun = time.perf_counter()
        model = load_synthetic_model(self._checkpoint, self._options.subject)
        made_s = time.perf_counter() - begun
        self._progress("making the cache, first passes")
        begun = time.perf_counter()
        subject = SyntheticSubject(model, self._subject_options())
        warm_s = time.perf_counter() - begun
        if "load" in self._options.plan.only:
            self._take(_load_figures(made_s, warm_s, subject.pass_bytes))
        return subject

    def _subject_options(self) -> SubjectOptions:
        """Memory of a GPU is left for the rival's weights."""
        options = self._options.subject
        if self._options.against is None:
            return options
        rival_bytes = weights_size(self._checkpoint, torch.bfloat16, "none").total_bytes
        return replace(options, reserved_bytes=rival_bytes + RIVAL_WORK_BYTES)

    def _against_transformers(self, subject: SyntheticSubject) -> Iterator[Figure]:
        """Both decode the same text; the compiled one comes last, as it may fail to compile."""
        num_tokens = self._options.plan.num_rival_tokens
        context = min(RIVAL_CONTEXT, subject.engine.max_model_len // 2)
        prompt_ids = self._text.prompt(context, salt=RIVAL_SALT)
        ours_ids = subject.reply(prompt_ids, num_tokens=num_tokens)
        rates = [
            subject.generate([prompt_ids], num_tokens=num_tokens).decode_tokens_per_s
            for _ in range(self._options.plan.num_runs)
        ]
        self._progress("transformers: making the weights")
        with transformers_rival(self._checkpoint, self._device) as rival:
            theirs_ids = rival.reply(prompt_ids, num_tokens=num_tokens, compiles=False)
            for compiles in (False, True) if self._device.type == "cuda" else (False,):
                name = "transformers, compiled" if compiles else "transformers"
                self._progress(f"{name}: decode at {context}")
                rate = rival.decode_tokens_per_s(
                    prompt_ids, num_tokens=num_tokens, compiles=compiles
                )
                yield Figure(
                    group="decode",
                    name=f"decode at {context}, beside {name}",
                    unit="tokens/s",
                    values=tuple(rates),
                    rivals={name: rate},
                    detail="" if ours_ids == theirs_ids else "NOT the same text",
                )


def _load_figures(made_s: float, warm_s: float, pass_bytes: int) -> Iterator[Figure]:
    yield Figure(
        group="load",
        name="weights made",
        unit="s",
        values=(made_s,),
        detail=f"{pass_bytes / 1e9:.2f} GB are read by a pass",
    )
    yield Figure(group="load", name="cache and first passes", unit="s", values=(warm_s,))


def describe_device(device: torch.device) -> str:
    """The card's name, or the processor's."""
    if device.type != "cuda":
        return f"{describe_machine()}, {torch.get_num_threads()} threads"
    properties = torch.cuda.get_device_properties(device)
    major, minor = torch.cuda.get_device_capability(device)
    return f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB, {major}.{minor}"
