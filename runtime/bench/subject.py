"""Our engine with a model loaded, as a contestant: in this process, without HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rnj_agent.runtime.bench.contestant import ReplyTiming, Round
from rnj_agent.runtime.engine import Engine
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.loading import LoadedModel, LoadOptions, load
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence

_READ_BYTES = 1 << 24
_SAY_EVERY_S = 2.0


class Subject:
    """A ``Contestant``.

    Args:
        loaded: the model; nobody else may use its engine.
        load_s: how long loading took.
    """

    def __init__(self, loaded: LoadedModel, *, load_s: float) -> None:
        self.loaded = loaded
        self.load_s = load_s

    @property
    def engine(self) -> Engine:
        return self.loaded.engine

    def bytes_per_token(self, contexts: Sequence[int]) -> float:
        """What a pass reads for each of its sequences, which share the weights.

        Args:
            contexts: cached tokens of each sequence.
        """
        kv_bytes = sum(contexts) * self.loaded.kv_bytes_per_token
        return (self.loaded.decode_bytes + kv_bytes) / len(contexts)

    def generate(self, prompts: Sequence[Sequence[int]], *, num_tokens: int) -> Round:
        """All prompts at once, greedily.

        Raises:
            RnjRuntimeError: a prompt does not fit, or a forward pass failed.
        """
        params = SamplingParams(temperature=0.0, max_tokens=num_tokens, ignore_eos=True)
        return run_requests(
            self.engine, [EngineRequest(prompt_ids=ids, params=params) for ids in prompts]
        )


def load_subject(path: Path, *, options: LoadOptions, progress: Callable[[str], None]) -> Subject:
    """Load a model whose files are in the page cache, as on every start but the first.

    Raises:
        RnjRuntimeError: it does not load.
    """
    progress(f"reading {path.name}")
    _fill_page_cache(path)
    said_at = time.monotonic()

    def say_sometimes(num_done: int, num_total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at > _SAY_EVERY_S:
            said_at = time.monotonic()
            progress(f"loading {path.name}: {num_done / max(1, num_total):.0%}")

    begun = time.perf_counter()
    loaded = load(path, options=options, progress=say_sometimes, announce=progress)
    subject = Subject(loaded, load_s=time.perf_counter() - begun)
    progress(loaded.summary)
    return subject


def _fill_page_cache(path: Path) -> None:
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    for name in files:
        with name.open("rb", buffering=0) as file:
            while file.read(_READ_BYTES):
                pass


def run_requests(engine: Engine, requests: Sequence[EngineRequest]) -> Round:
    """All at once, from the first one's arrival to the last one's end; the engine must be idle.

    Raises:
        RnjRuntimeError: a prompt does not fit, or a forward pass failed.
    """
    assert not engine.has_work
    begun = time.perf_counter()
    sequences = [engine.add(request) for request in requests]
    times_s: dict[TokenSequence, list[float]] = {sequence: [] for sequence in sequences}
    while engine.has_work:
        for sequence, output in engine.step():
            if isinstance(output, RnjRuntimeError):
                raise output
            if isinstance(output, TokenOutput):
                times_s[sequence].append(time.perf_counter() - begun)
    return Round(replies=tuple(_timing(sequence, times_s[sequence]) for sequence in sequences))


def _timing(sequence: TokenSequence, times_s: Sequence[float]) -> ReplyTiming:
    return ReplyTiming(
        num_prompt_tokens=sequence.usage.num_prompt_tokens,
        num_cached_tokens=sequence.usage.num_cached_tokens,
        num_tokens=len(times_s),
        ttft_s=times_s[0],
        decode_s=times_s[-1] - times_s[0],
        ended_s=times_s[-1],
    )
