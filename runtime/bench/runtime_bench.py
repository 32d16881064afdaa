"""Measures how fast a model runs on this machine, beside llama.cpp where that is installed.

Each case is measured in turn, ours, the rival, ours, the rival; a ratio is the median over those
pairs. Speculation is off: a decode figure is one forward pass a token, as the rival's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rnj_agent.runtime.bench.bandwidth import ReadBandwidth, measure_in_child
from rnj_agent.runtime.bench.cases import Case
from rnj_agent.runtime.bench.plan import Plan
from rnj_agent.runtime.bench.prompts import Prompts
from rnj_agent.runtime.bench.report import Figure, Report
from rnj_agent.runtime.bench.rival import (
    INTERPRETER_VARIABLE,
    Rival,
    RivalError,
    RivalInfo,
    RivalOptions,
    find_interpreter,
    running_rival,
)
from rnj_agent.runtime.bench.subject import Subject, load_subject
from rnj_agent.runtime.bench.this_machine import (
    busy_note,
    describe_machine,
    peak_memory_bytes,
    versions,
)
from rnj_agent.runtime.bench.turns import Progress, measure_case
from rnj_agent.runtime.kv_cache.storage import kv_bytes_per_token
from rnj_agent.runtime.loading import LoadOptions
from rnj_agent.runtime.machine import num_physical_cores
from rnj_agent.runtime.models.loading import default_dtype
from rnj_agent.runtime.weights.checkpoint import open_checkpoint

_GIB = 2**30
POOL_SLACK_TOKENS = 1024
"""Beside the longest sequence: what blocks round up, and a tail that is evicted for the next."""
NO_BINDING = (
    "No llama.cpp to compare with: pip install xllamacpp, or name a Python that has it or "
    f"llama-cpp-python in {INTERPRETER_VARIABLE}."
)


def run(path: Path, *, plan: Plan, progress: Progress, with_rival: bool = True) -> Report:
    """Load the model into this process and measure it.

    Args:
        path: a GGUF file, or a checkpoint folder; only the former has a rival.
        plan: what to measure.
        progress: is told in lines what takes so long.
        with_rival: whether to look for llama.cpp.

    Raises:
        RnjRuntimeError: the model does not load, or the engine failed.
    """
    busy = busy_note()
    bandwidths = _read_bandwidth(plan, progress)
    subject = load_subject(path, options=load_options(path, plan), progress=progress)
    bench = _Bench(subject, plan, progress)
    bench.note(busy)
    if with_rival:
        bench.look_for_rival()
    bench.measure()
    bandwidths += _read_bandwidth(plan, progress)
    return bench.report(max(bandwidths, key=lambda found: found.bytes_per_s, default=None))


def load_options(path: Path, plan: Plan) -> LoadOptions:
    """A window for the longest case, and a pool of one window: as much memory as the rival's."""
    with contextlib.closing(open_checkpoint(path)) as checkpoint:
        config = checkpoint.config
    context = min(plan.num_context_tokens, config.max_position_embeddings)
    num_pool_tokens = max(context, plan.num_batch_context_tokens) + POOL_SLACK_TOKENS
    pool_bytes = num_pool_tokens * kv_bytes_per_token(config, default_dtype("cpu"), "auto")
    return LoadOptions(
        context=context,
        kv_memory_gib=pool_bytes / _GIB,
        max_num_seqs=max(plan.batch_sizes, default=1),
        speculation=False,
    )


def _read_bandwidth(plan: Plan, progress: Progress) -> list[ReadBandwidth]:
    """Where a figure is a share of it, or it is wanted for itself."""
    if plan.only.isdisjoint({"bandwidth", "decode", "batch"}):
        return []
    progress("measuring the read bandwidth")
    return [measure_in_child(duration_s=plan.bandwidth_s)]


class _Bench:
    """Grows figures and notes, case after case."""

    def __init__(self, subject: Subject, plan: Plan, progress: Progress) -> None:
        self._subject = subject
        self._plan = plan
        self._progress = progress
        self._prompts = Prompts(subject.loaded.tokenizer, max_tokens=plan.num_context_tokens)
        self._interpreter: str | None = None
        self._rival_info: RivalInfo | None = None
        self._figures: list[Figure] = []
        self._notes: list[str] = []

    def note(self, sentence: str) -> None:
        """Say it below the table; an empty one is nothing to say."""
        if sentence:
            self._notes.append(sentence)

    def look_for_rival(self) -> None:
        if self._subject.loaded.path.suffix != ".gguf":
            self._notes.append("llama.cpp reads GGUF files only: nothing to compare with.")
            return
        self._interpreter = find_interpreter()
        if self._interpreter is None:
            self._notes.append(NO_BINDING)

    def measure(self) -> None:
        """One sequence at a time first, whose memory counts; then batches."""
        cases = self._fitting_cases()
        singles = [case for case in cases if case.num_slots == 1]
        with self._rival(singles) as rival:
            self._measure_load(rival)
            self._measure_cases(singles, rival)
            self._measure_memory(rival)
        batches = [case for case in cases if case.num_slots > 1]
        if batches:
            with self._rival(batches) as rival:
                self._measure_cases(batches, rival)

    def report(self, bandwidth: ReadBandwidth | None) -> Report:
        return Report(
            model=self._subject.loaded.path.name,
            summary=self._subject.loaded.summary,
            machine=describe_machine(),
            date=datetime.now(UTC).isoformat(timespec="minutes"),
            versions=versions(),
            num_threads=num_physical_cores(),
            bandwidth=bandwidth,
            rival=self._rival_info,
            figures=tuple(self._figures),
            notes=tuple(self._notes),
        )

    def _fitting_cases(self) -> list[Case]:
        window = self._subject.engine.max_model_len
        cases = self._plan.cases()
        self._notes += [
            f"{case.name}: left out, the window is {window} tokens."
            for case in cases
            if case.num_context_tokens > window
        ]
        return [case for case in cases if case.num_context_tokens <= window]

    @contextlib.contextmanager
    def _rival(self, cases: Sequence[Case]) -> Generator[Rival | None, None, None]:
        """llama.cpp with room for these cases, where there is one and it starts."""
        if self._interpreter is None:
            yield None
            return
        options = RivalOptions(
            path=self._subject.loaded.path,
            num_threads=num_physical_cores(),
            context=max((case.num_context_tokens for case in cases), default=1024),
            num_slots=max((case.num_slots for case in cases), default=1),
        )
        with contextlib.ExitStack() as stack:
            self._progress("starting llama.cpp")
            try:
                rival = stack.enter_context(running_rival(self._interpreter, options))
            except RivalError as exc:
                self._notes.append(exc.message)
                rival = None
            else:
                self._rival_info = self._rival_info or rival.info
            yield rival

    def _measure_cases(self, cases: Sequence[Case], rival: Rival | None) -> None:
        """Without the rival from where it fails on."""
        for case in cases:
            try:
                self._figures += self._figures_of(case, rival)
            except RivalError as exc:
                self._notes.append(f"{case.name} and after it: {exc.message}")
                rival = None
                self._figures += self._figures_of(case, rival)

    def _figures_of(self, case: Case, rival: Rival | None) -> list[Figure]:
        return measure_case(
            case,
            self._subject,
            rival,
            self._prompts,
            plan=self._plan,
            progress=self._progress,
        )

    def _measure_load(self, rival: Rival | None) -> None:
        if "load" in self._plan.only:
            theirs = () if rival is None else (rival.info.load_s,)
            ours = (self._subject.load_s,)
            self._figures.append(
                Figure(group="load", name="load", unit="s", ours=ours, rival=theirs)
            )

    def _measure_memory(self, rival: Rival | None) -> None:
        """Of whole processes, at its highest: ours has Python and torch in it."""
        ours = peak_memory_bytes(os.getpid())
        if "memory" not in self._plan.only or ours is None:
            return
        theirs = None if rival is None else peak_memory_bytes(rival.pid)
        self._figures.append(
            Figure(
                group="memory",
                name="peak memory",
                unit="GiB",
                ours=(ours / _GIB,),
                rival=() if theirs is None else (theirs / _GIB,),
            )
        )
