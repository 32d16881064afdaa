"""The events of a streamed reply: comments while nothing comes, an error or an end at the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator

import pytest

from rnj_agent.runtime.completion import CompletionOutput, CompletionRequest, ReplyDelta
from rnj_agent.runtime.engine import PrefillProgress, Usage
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.scheduler import Complete, Scheduler
from rnj_agent.runtime.server.streaming import stream_reply
from rnj_agent.runtime.server.wire_reply import ReplyHead
from rnj_agent.runtime.server.wire_request import StreamOptions
from rnj_agent.runtime.tool_calls import TextPart

USAGE = Usage(num_prompt_tokens=600, num_cached_tokens=0, num_completion_tokens=1)
LAST = ReplyDelta(parts=(TextPart("hi"),), finish_reason="stop", usage=USAGE)
REQUEST = CompletionRequest(prompt_ids=[1], params=SamplingParams())


async def events_of(complete: Complete) -> list[str]:
    scheduler = Scheduler(complete)
    try:
        generation = scheduler.submit(REQUEST)
        return [e async for e in stream_reply(ReplyHead(model="m"), generation, StreamOptions())]
    finally:
        scheduler.close()


async def test_comments_keep_a_waiting_client_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnj_agent.runtime.server.streaming.HEARTBEAT_S", 0.01)
    never = threading.Event()

    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        yield PrefillProgress(num_computed_tokens=512, usage=USAGE)
        never.wait(0.1)
        yield LAST

    events = await events_of(complete)
    assert events[0] == ": queued\n\n"
    assert ": prefill 512/600\n\n" in events
    assert events.count(": working\n\n") >= 2
    assert events[-1] == "data: [DONE]\n\n"


async def test_a_failure_is_an_error_event_and_no_done() -> None:
    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        yield PrefillProgress(num_computed_tokens=600, usage=USAGE)
        raise EngineError("out of memory")

    events = await events_of(complete)
    error = json.loads(events[-1].removeprefix("data: "))["error"]
    assert error["message"] == "out of memory"
    assert error["type"] == "server_error"


async def test_a_reply_that_was_cut_short_does_not_look_complete() -> None:
    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        yield PrefillProgress(num_computed_tokens=600, usage=USAGE)

    events = await events_of(complete)
    assert "shutting down" in json.loads(events[-1].removeprefix("data: "))["error"]["message"]


async def test_leaving_the_stream_cancels_the_generation() -> None:
    def complete(_asked: CompletionRequest) -> Generator[CompletionOutput, None, None]:
        while True:
            yield PrefillProgress(num_computed_tokens=1, usage=USAGE)

    scheduler = Scheduler(complete)
    generation = scheduler.submit(REQUEST)
    events = stream_reply(ReplyHead(model="m"), generation, StreamOptions())
    await anext(events)
    await events.aclose()
    assert generation.cancelled
    scheduler.close()
