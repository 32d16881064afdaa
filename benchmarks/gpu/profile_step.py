"""Where the time of a decode step goes: kernels, and the gaps between them."""

from __future__ import annotations

import time
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.engine_steps import subject_options
from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.subject import SyntheticSubject, load_synthetic_model
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest

NUM_STEPS = 16
NUM_SHOWN = 30
BATCHES = ((1, 1024), (1, 30000), (32, 1024))
"""(sequences, context)."""
TINY_BATCHES = ((1, 64),)


def profile_decode(
    subject: SyntheticSubject, text: SyntheticText, num_seqs: int, context: int
) -> dict[str, Any]:
    """Some steps, all of them decodes."""
    engine = subject.engine
    prompts = [text.prompt(context, salt=1 + number) for number in range(num_seqs)]
    subject.generate(prompts, num_tokens=2)
    params = SamplingParams(temperature=0.0, max_tokens=4 * NUM_STEPS, ignore_eos=True)
    sequences = [engine.add(EngineRequest(prompt_ids=ids, params=params)) for ids in prompts]
    for _ in range(4):
        engine.step()
    wall_s = _steps_s(engine)
    activities = [ProfilerActivity.CPU]
    if subject.model.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as recorded:
        _steps_s(engine)
    for sequence in sequences:
        engine.abort(sequence)
    return {"step_us": 1e6 * wall_s / NUM_STEPS, "kernels": _kernels(recorded)}


def profile_table(found: dict[str, Any]) -> str:
    lines = [f"step {found['step_us']:.1f} us; kernels, us a step and launches a step:"]
    lines += [f"{us:9.2f} {count:7.1f}  {name}" for name, us, count in found["kernels"]]
    return "\n".join(lines)


def _steps_s(engine: Engine) -> float:
    begun = time.perf_counter()
    for _ in range(NUM_STEPS):
        engine.step()
    return time.perf_counter() - begun


def _kernels(recorded: Any) -> list[tuple[str, float, float]]:
    """Name, microseconds a step, launches a step; the longest first."""
    rows: list[tuple[str, float, float]] = []
    for event in recorded.key_averages():
        device_us = float(getattr(event, "self_device_time_total", 0.0))
        is_kernel = str(getattr(event, "device_type", "")).endswith("CUDA")
        if device_us > 0 and is_kernel:
            rows.append((event.key[:100], device_us / NUM_STEPS, event.count / NUM_STEPS))
    return sorted(rows, key=lambda row: -row[1])[:NUM_SHOWN]


def run_profile(recorder: StepRecorder, place: Workplace) -> None:
    """One batch after the other."""
    checkpoint = SyntheticCheckpoint(place.shape)
    options = subject_options(place, "fp8", max_num_seqs=1 if place.dry_run else 32)
    subject = SyntheticSubject(load_synthetic_model(checkpoint, options), options)
    text = SyntheticText(checkpoint)
    for num_seqs, context in TINY_BATCHES if place.dry_run else BATCHES:
        name = f"batch {num_seqs} at {context}"
        say(f"profile: {name}")
        found = profile_decode(subject, text, num_seqs, context)
        print(profile_table(found), flush=True)
        recorder.keep(name, found)
        busy_us = sum(us for _, us, _ in found["kernels"])
        recorder.value(
            f"decode step, {name}",
            found["step_us"] / 1000,
            "ms",
            detail=f"{busy_us / 1000:.3f} ms of it in kernels",
        )
