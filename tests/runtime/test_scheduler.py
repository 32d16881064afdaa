"""The worker: order, errors that reach their request only, cancellation, closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from rnj_agent.runtime.completion import CompletionOutput, CompletionRequest, ReplyDelta
from rnj_agent.runtime.engine import Usage
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.scheduler import Complete, Generation, Scheduler, Waiting
from rnj_agent.runtime.tool_calls import TextPart

USAGE = Usage(num_prompt_tokens=1, num_cached_tokens=0, num_completion_tokens=1)


def request(number: int = 0) -> CompletionRequest:
    return CompletionRequest(prompt_ids=[number], params=SamplingParams())


def delta(text: str) -> ReplyDelta:
    return ReplyDelta(parts=(TextPart(text),), finish_reason=None, usage=USAGE)


@contextmanager
def running(complete: Complete) -> Generator[Scheduler, None, None]:
    scheduler = Scheduler(complete)
    try:
        yield scheduler
    finally:
        scheduler.close()


async def texts(generation: Generation) -> list[str]:
    outputs = [output async for output in generation.outputs() if isinstance(output, ReplyDelta)]
    return [part.text for output in outputs for part in output.parts if isinstance(part, TextPart)]


async def test_first_come_first_served() -> None:
    order: list[int] = []

    def complete(asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        order.append(asked.prompt_ids[0])
        yield delta(str(asked.prompt_ids[0]))

    with running(complete) as scheduler:
        generations = [scheduler.submit(request(number)) for number in range(5)]
        replies = await asyncio.gather(*(texts(generation) for generation in reversed(generations)))
    assert order == [0, 1, 2, 3, 4]
    assert replies == [["4"], ["3"], ["2"], ["1"], ["0"]]


async def test_an_error_reaches_its_own_request_and_the_worker_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def complete(asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        yield delta("begun")
        match asked.prompt_ids[0]:
            case 0:
                raise EngineError("out of memory")
            case 1:
                raise ZeroDivisionError
            case _:
                yield delta("done")

    with running(complete) as scheduler:
        expected, bug, fine = (scheduler.submit(request(number)) for number in range(3))
        with pytest.raises(EngineError, match="out of memory"):
            await texts(expected)
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            await texts(bug)
        assert await texts(fine) == ["begun", "done"]
    assert "ZeroDivisionError" in caplog.text


async def test_cancel_ends_a_running_and_a_waiting_request() -> None:
    closed = threading.Event()

    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        try:
            while True:
                yield delta("more")
        finally:
            closed.set()

    with running(complete) as scheduler:
        first, second = scheduler.submit(request()), scheduler.submit(request())
        second.cancel()
        async for _ in first.outputs():
            first.cancel()
        assert closed.is_set()
        assert await texts(second) == []
        assert scheduler.num_unfinished == 0


async def test_waiting_is_told_while_nothing_comes() -> None:
    go_on = threading.Event()

    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        go_on.wait()
        yield delta("at last")

    with running(complete) as scheduler:
        seen: list[CompletionOutput | Waiting] = []
        async for output in scheduler.submit(request()).outputs(heartbeat_s=0.01):
            seen.append(output)
            if len(seen) == 3:
                go_on.set()
    assert seen[:3] == [Waiting()] * 3
    assert seen[-1] == delta("at last")


async def test_a_closed_scheduler_ends_what_runs_and_takes_nothing() -> None:
    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        while True:
            yield delta("more")

    scheduler = Scheduler(complete)
    generation = scheduler.submit(request())
    await anext(aiter(generation.outputs()))
    await asyncio.to_thread(scheduler.close)
    with pytest.raises(EngineError, match="shutting down"):
        scheduler.submit(request())
