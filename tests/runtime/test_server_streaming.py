"""The events of a streamed reply: comments while nothing comes, an error or an end at the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.outputs import PrefillProgress
from rnj_agent.runtime.reply_parts import CallArguments, CallPart, CallStart, TextPart
from rnj_agent.runtime.server.chat_reply import ChatChunks, chat_completion
from rnj_agent.runtime.server.replies import Replies
from rnj_agent.runtime.server.streaming import EventStream, reply_events
from rnj_agent.runtime.server.wire_chat import StreamOptions
from rnj_agent.runtime.server.wire_reply import ReplyHead
from tests.runtime.scripted_generations import ScriptedLine, delta, replies_of, usage

HEAD = ReplyHead.new("m", prefix="chatcmpl")
PROGRESS = PrefillProgress(num_computed_tokens=512, usage=usage(0))


async def events_of(replies: Replies, **options: bool) -> list[str]:
    chunks = ChatChunks(HEAD, None)
    return [each async for each in reply_events(replies, chunks, StreamOptions(**options))]


def bodies_of(events: list[str]) -> list[Any]:
    lines = [line for event in events for line in event.splitlines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def test_comments_keep_a_waiting_client_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnj_agent.runtime.server.streaming.HEARTBEAT_S", 0.01)
    line = ScriptedLine([], stays_open=True)
    replies = replies_of(line)

    async def work() -> None:
        await asyncio.sleep(0.05)
        line.generations[0].deliver(PROGRESS)
        await asyncio.sleep(0.05)
        line.generations[0].deliver(delta(TextPart("hi"), reason="stop"))
        line.generations[0].deliver(None)

    working = asyncio.create_task(work())
    events = await events_of(replies)
    await working
    assert events[0] == ": queued\n\n"
    assert events.count(": queued\n\n") >= 3
    assert ": prefill 512/600\n\n" in events
    assert events.count(": working\n\n") >= 2
    assert events[-1] == "data: [DONE]\n\n"


async def test_a_failure_is_an_error_event_and_no_done() -> None:
    events = await events_of(replies_of(ScriptedLine([PROGRESS, EngineError("out of memory")])))
    (error,) = bodies_of(events)
    assert error["error"]["message"] == "out of memory"
    assert error["error"]["type"] == "server_error"
    assert "[DONE]" not in events[-1]


async def test_a_reply_that_was_cut_short_does_not_look_complete() -> None:
    half = [delta(TextPart("a"), reason="stop"), delta(TextPart("b"), index=1)]
    events = await events_of(replies_of(ScriptedLine(half), num_choices=2))
    assert "shutting down" in bodies_of(events)[-1]["error"]["message"]
    assert "[DONE]" not in events[-1]


async def test_leaving_the_stream_cancels_the_generation() -> None:
    line = ScriptedLine([PROGRESS] * 5, stays_open=True)
    events = reply_events(replies_of(line), ChatChunks(HEAD, None), StreamOptions())
    await anext(events)
    await anext(events)
    await events.aclose()
    assert line.generations[0].cancelled


async def test_a_client_that_has_left_before_the_first_event_cancels_too() -> None:
    line = ScriptedLine([], stays_open=True)
    stream = EventStream(replies_of(line), ChatChunks(HEAD, None), None)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        await asyncio.sleep(0)

    await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    assert line.generations[0].cancelled


async def test_guided_calls_stream_their_arguments() -> None:
    script = [
        delta(TextPart("I look.")),
        delta(CallStart("bash")),
        delta(CallArguments('{"comm')),
        delta(CallArguments('and": 1}'), CallStart("ls"), CallArguments("{}")),
        delta(reason="tool_calls"),
    ]
    bodies = bodies_of(await events_of(replies_of(ScriptedLine(script))))
    deltas = [body["choices"][0]["delta"] for body in bodies]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1] == {"content": "I look."}
    calls = [call for each in deltas for call in each.get("tool_calls", [])]
    assert [call["index"] for call in calls] == [0, 0, 0, 1, 1]
    assert [bool(call.get("id")) for call in calls] == [True, False, False, True, False]
    assert [call["function"].get("name") for call in calls] == ["bash", None, None, "ls", None]
    assert calls[0]["function"]["arguments"] == ""
    assert "".join(call["function"]["arguments"] for call in calls[:3]) == '{"command": 1}'
    assert bodies[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_whole_replies_put_streamed_calls_together() -> None:
    script = [
        delta(CallStart("bash"), CallArguments('{"a"')),
        delta(CallArguments(": 1}")),
        delta(CallPart("ls", "{}"), reason="tool_calls"),
    ]
    whole = await replies_of(ScriptedLine(script)).whole()
    message = chat_completion(HEAD, whole, None)["choices"][0]["message"]
    assert message["content"] is None
    functions = [call["function"] for call in message["tool_calls"]]
    assert functions == [
        {"name": "bash", "arguments": '{"a": 1}'},
        {"name": "ls", "arguments": "{}"},
    ]


async def test_the_usage_counts_a_prompt_once() -> None:
    def script() -> list[Any]:
        return [
            delta(TextPart("a"), num_tokens=3, cached=64, reason="stop"),
            delta(TextPart("b"), num_tokens=4, cached=599, reason="length", index=1),
        ]

    line = ScriptedLine(script(), script())
    replies = replies_of(line, num_prompts=2, num_choices=2)
    events = await events_of(replies, include_usage=True, continuous_usage_stats=True)
    bodies = bodies_of(events)
    assert bodies[-1]["choices"] == []
    assert bodies[-1]["usage"] == {
        "prompt_tokens": 1200,
        "completion_tokens": 14,
        "total_tokens": 1214,
        "prompt_tokens_details": {"cached_tokens": 128},
    }
    counts = [body["usage"]["completion_tokens"] for body in bodies]
    assert counts == sorted(counts)
    indexes = {choice["index"] for body in bodies for choice in body["choices"]}
    assert indexes == {0, 1, 2, 3}
