"""How fast a model runs on this machine: load, prefill, decode, first token with a cached prefix.

First version: one sequence, no rivals, no plot. Prompts are real text, not random ids; replies are
greedy and never end early.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rnj_agent.runtime.engine import Engine, TokenOutput
from rnj_agent.runtime.loading import LoadedModel, load
from rnj_agent.runtime.machine import num_physical_cores, resident_memory_bytes
from rnj_agent.runtime.sampling import SamplingParams

_TEXT = "def add(a: int, b: int) -> int:\n    # The sum of two numbers, as the tests expect it.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    num_prompt_tokens: int = 1024
    num_new_tokens: int = 32
    """Appended to the prompt for the first token with a cached prefix, as an agent's step does."""
    num_decode_tokens: int = 32
    num_runs: int = 3
    """Each figure is the median of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    model: str
    machine: str
    num_threads: int
    options: BenchOptions
    load_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    ttft_cold_s: float
    """Time to the first token of a prompt that nothing is known of."""
    ttft_cached_s: float
    """Of the same prompt with ``num_new_tokens`` more at its end."""
    memory_gib: float
    """Resident, at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    ttft_cold_s: float
    ttft_cached_s: float
    decode_tokens_per_s: float


def run(
    model_path: Path,
    *,
    options: BenchOptions | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> BenchResult:
    """Load the model into this process and measure it.

    Raises:
        RnjRuntimeError: it does not load.
    """
    options = options or BenchOptions()
    num_tokens = options.num_prompt_tokens + options.num_new_tokens + options.num_decode_tokens
    begun = time.perf_counter()
    loaded = load(model_path, context=num_tokens + 1)
    load_s = time.perf_counter() - begun
    progress(loaded.summary)
    runs: list[_Run] = []
    for number in range(options.num_runs):
        progress(f"run {number + 1} of {options.num_runs}")
        runs.append(_measure(loaded, options, salt=number))
    ttft_cold_s = statistics.median(run.ttft_cold_s for run in runs)
    return BenchResult(
        model=model_path.name,
        machine=f"{platform.machine()}, {platform.system()} {platform.release()}",
        num_threads=num_physical_cores(),
        options=options,
        load_s=load_s,
        prefill_tokens_per_s=options.num_prompt_tokens / ttft_cold_s,
        decode_tokens_per_s=statistics.median(run.decode_tokens_per_s for run in runs),
        ttft_cold_s=ttft_cold_s,
        ttft_cached_s=statistics.median(run.ttft_cached_s for run in runs),
        memory_gib=resident_memory_bytes() / 2**30,
    )


def as_table(result: BenchResult) -> str:
    """For a terminal: one figure a line."""
    options = result.options
    rows = [
        ("load", f"{result.load_s:.1f} s"),
        (
            f"prefill, {options.num_prompt_tokens} tokens",
            f"{result.prefill_tokens_per_s:.1f} tokens/s",
        ),
        (
            f"decode, {options.num_decode_tokens} tokens",
            f"{result.decode_tokens_per_s:.2f} tokens/s",
        ),
        ("first token, cold", f"{result.ttft_cold_s:.2f} s"),
        (
            f"first token, prefix cached, {options.num_new_tokens} new",
            f"{result.ttft_cached_s:.2f} s",
        ),
        ("memory", f"{result.memory_gib:.2f} GiB"),
    ]
    width = max(len(name) for name, _ in rows)
    head = f"{result.model} on {result.machine}, {result.num_threads} threads"
    return "\n".join([head, *(f"  {name:<{width}}  {figure}" for name, figure in rows)])


def as_json(result: BenchResult) -> str:
    return json.dumps(asdict(result), indent=2)


def _measure(loaded: LoadedModel, options: BenchOptions, *, salt: int) -> _Run:
    prompt_ids = _prompt_ids(loaded, options, salt)
    engine = loaded.engine
    engine.reset()
    cold = _timed(engine, prompt_ids[: options.num_prompt_tokens], num_tokens=1)
    longer = _timed(engine, prompt_ids, num_tokens=options.num_decode_tokens)
    return _Run(
        ttft_cold_s=cold[0],
        ttft_cached_s=longer[0],
        decode_tokens_per_s=(len(longer) - 1) / (longer[-1] - longer[0]),
    )


def _prompt_ids(loaded: LoadedModel, options: BenchOptions, salt: int) -> Sequence[int]:
    num_tokens = options.num_prompt_tokens + options.num_new_tokens
    text = f"# {salt}\n" + _TEXT * num_tokens  # a text is never fewer tokens than repetitions
    return loaded.tokenizer.encode(text)[:num_tokens]


def _timed(engine: Engine, prompt_ids: Sequence[int], *, num_tokens: int) -> list[float]:
    """Seconds from the start to each token of the reply."""
    params = SamplingParams(temperature=0.0, max_tokens=num_tokens, ignore_eos=True)
    begun = time.perf_counter()
    return [
        time.perf_counter() - begun
        for output in engine.generate(prompt_ids, params)
        if isinstance(output, TokenOutput)
    ]
