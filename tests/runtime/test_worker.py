"""The worker: requests side by side, errors that reach their request only, cancelling, closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.completion import CompletionRequest, ReplyDelta
from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.model_runner import CausalLM
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.tool_calls import TextPart
from rnj_agent.runtime.worker import Generation, QueueFullError, Waiting, Worker
from tests.runtime.small_engine import prompt, small_engine
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

ENDLESS = 1400


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


class _Gated:
    """A real model whose passes wait for the gate, and fail where told."""

    gate = threading.Event()
    bug: Exception | None = None

    def __init__(self, model: CausalLM) -> None:
        self._model = model

    def forward(self, batch: ForwardBatch, storage: KVStorage) -> torch.Tensor:
        _Gated.gate.wait(30)
        if _Gated.bug is not None:
            bug, _Gated.bug = _Gated.bug, None
            raise bug
        return self._model.forward(batch, storage)


@contextmanager
def running(path: Path, *, max_queue: int = 64) -> Generator[Worker, None, None]:
    _Gated.gate.set()
    engine = small_engine(path, wrap=_Gated)
    worker = Worker(engine, load_tokenizer(path), max_queue=max_queue)
    try:
        yield worker
    finally:
        _Gated.gate.set()
        worker.close()


def request(*, seed: int = 0, max_tokens: int = 8, num_choices: int = 1) -> CompletionRequest:
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    return CompletionRequest(
        prompt_ids=prompt(20, seed=seed), params=params, num_choices=num_choices
    )


async def deltas(generation: Generation) -> list[ReplyDelta]:
    return [output async for output in generation.outputs() if isinstance(output, ReplyDelta)]


def text_of(outputs: list[ReplyDelta], index: int = 0) -> str:
    parts = [part for delta in outputs if delta.index == index for part in delta.parts]
    return "".join(part.text for part in parts if isinstance(part, TextPart))


async def test_requests_side_by_side_get_their_own_replies(checkpoint_path: Path) -> None:
    with running(checkpoint_path) as worker:
        one_by_one = [text_of(await deltas(worker.submit(request(seed=seed)))) for seed in range(6)]
        together = await asyncio.gather(
            *(deltas(worker.submit(request(seed=seed))) for seed in range(6))
        )
        assert [text_of(outputs) for outputs in together] == one_by_one
        assert worker.num_unfinished == 0
        assert worker.gauges.num_used_blocks == 0


async def test_each_choice_finishes_once_and_then_the_outputs_end(checkpoint_path: Path) -> None:
    with running(checkpoint_path) as worker:
        outputs = await deltas(worker.submit(request(num_choices=3)))
    finished = [delta.index for delta in outputs if delta.finish_reason is not None]
    assert sorted(finished) == [0, 1, 2]
    assert {text_of(outputs, index) for index in range(3)} == {text_of(outputs)}
    assert outputs[-1].usage.num_prompt_tokens == 20


async def test_seeded_choices_differ_and_repeat(checkpoint_path: Path) -> None:
    params = SamplingParams(temperature=1.0, seed=3, max_tokens=8)
    asked = CompletionRequest(prompt_ids=prompt(20), params=params, num_choices=2)
    with running(checkpoint_path) as worker:
        first, second = [await deltas(worker.submit(asked)) for _ in range(2)]
    assert text_of(first, 0) != text_of(first, 1)
    assert [text_of(first, i) for i in (0, 1)] == [text_of(second, i) for i in (0, 1)]


async def test_a_prompt_that_cannot_fit_is_told_to_its_own_request(checkpoint_path: Path) -> None:
    too_long = CompletionRequest(prompt_ids=[1] * 4000, params=SamplingParams())
    with running(checkpoint_path) as worker:
        fine = worker.submit(request())
        with pytest.raises(RequestError, match="4000 tokens"):
            await deltas(worker.submit(too_long))
        assert (await deltas(fine))[-1].finish_reason == "length"


async def test_a_bug_in_a_pass_ends_what_runs_and_the_worker_goes_on(
    checkpoint_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(checkpoint_path) as worker:
        for bug, message in (
            (RuntimeError("can't allocate"), "can't allocate"),
            (ZeroDivisionError(), "Internal error: ZeroDivisionError"),
        ):
            _Gated.bug = bug
            with pytest.raises(EngineError, match=message):
                await deltas(worker.submit(request()))
            assert (await deltas(worker.submit(request())))[-1].finish_reason == "length"
        assert worker.gauges.num_used_blocks == 0
    assert "ZeroDivisionError" in caplog.text


async def test_cancel_ends_a_running_and_a_waiting_request(checkpoint_path: Path) -> None:
    with running(checkpoint_path) as worker:
        generations = [worker.submit(request(seed=s, max_tokens=ENDLESS)) for s in range(6)]
        await anext(aiter(generations[0].outputs()))
        for generation in generations:
            generation.cancel()
        for generation in generations:
            assert all(delta.finish_reason is None for delta in await deltas(generation))
        assert worker.num_unfinished == 0
        assert worker.gauges.num_used_blocks == 0


async def test_beyond_the_queue_requests_are_refused(checkpoint_path: Path) -> None:
    with running(checkpoint_path, max_queue=2) as worker:
        _Gated.gate.clear()
        accepted = [worker.submit(request(seed=seed)) for seed in range(6)]
        with pytest.raises(QueueFullError, match="6 replies"):
            worker.submit(request())
        assert worker.gauges.num_running + worker.gauges.num_waiting == 6
        _Gated.gate.set()
        for generation in accepted:
            assert (await deltas(generation))[-1].finish_reason == "length"
        assert (await deltas(worker.submit(request())))[-1].finish_reason == "length"


async def test_waiting_is_told_while_nothing_comes(checkpoint_path: Path) -> None:
    with running(checkpoint_path) as worker:
        _Gated.gate.clear()
        num_waiting = 0
        async for output in worker.submit(request()).outputs(heartbeat_s=0.01):
            num_waiting += isinstance(output, Waiting)
            if num_waiting == 3:
                _Gated.gate.set()
        assert num_waiting >= 3


async def test_a_closed_worker_ends_what_runs_and_takes_nothing(checkpoint_path: Path) -> None:
    with running(checkpoint_path) as worker:
        generation = worker.submit(request(max_tokens=ENDLESS))
        await anext(aiter(generation.outputs()))
        await asyncio.to_thread(worker.close)
        await deltas(generation)
        assert worker.num_unfinished == 0
        with pytest.raises(EngineError, match="shutting down"):
            worker.submit(request())
