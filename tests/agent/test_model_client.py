"""The model client against a real socket that behaves like servers on good and bad days."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

from rnj_agent.agent.config import ModelSettings
from rnj_agent.agent.endpoint import ResolvedEndpoint
from rnj_agent.agent.errors import (
    ContextOverflowError,
    ModelRequestError,
    ModelUnavailableError,
)
from rnj_agent.agent.messages import AssistantMessage, Message, ToolCall, UserMessage
from rnj_agent.agent.model import (
    Chunk,
    FinishChunk,
    ModelRequest,
    ReasoningChunk,
    RetryChunk,
    TextChunk,
    ToolCallChunk,
    UsageChunk,
)
from rnj_agent.agent.model_connection import connect
from rnj_agent.agent.scripted_server import (
    SSE_END,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    error_reply,
    json_reply,
    sse,
    stream_reply,
    text_reply,
    usage_event,
)

CHAT = "/v1/chat/completions"
MODELS = json_reply({"data": [{"id": "m", "max_model_len": 4096}]})
TOOL = {"type": "function", "function": {"name": "bash", "description": "", "parameters": {}}}


def endpoint(base_url: str, *, name: str = "", api_key_env: str = "") -> ResolvedEndpoint:
    return ResolvedEndpoint(
        name=name or base_url, base_url=base_url, api_key_env=api_key_env, is_bundled=False
    )


def request(*messages: Message, tools: bool = False) -> ModelRequest:
    return ModelRequest(
        messages=messages or (UserMessage(content="hello"),),
        tools=[TOOL] if tools else [],
        max_tokens=64,
        stop=("STOP",),
    )


async def reply_to(
    server: ScriptedServer, sent: ModelRequest | None = None, **settings: float
) -> list[Chunk]:
    tuned = ModelSettings.model_validate({"name": "m", **settings})
    connected = await connect(endpoint(server.base_url), tuned, api_key="k")
    try:
        async with aclosing(connected.model.stream(sent or request())) as chunks:
            return [chunk async for chunk in chunks]
    finally:
        await connected.model.aclose()


def serving(*replies: ScriptedReply) -> ScriptedServer:
    return ScriptedServer({"/v1/models": MODELS, CHAT: replies})


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


async def test_text_usage_and_finish_arrive_in_order() -> None:
    async with serving(
        stream_reply(
            delta_event(role="assistant", content=""),
            delta_event(content="Hel"),
            delta_event(content="lo"),
            delta_event("stop"),
            usage_event(12, 2, cached=8),
            SSE_END,
        )
    ) as server:
        chunks = await reply_to(server)
    assert chunks == [
        TextChunk(text="Hel"),
        TextChunk(text="lo"),
        UsageChunk(num_prompt_tokens=12, num_cached_tokens=8, num_completion_tokens=2),
        FinishChunk(finish_reason="stop"),
    ]
    (body,) = server.bodies(CHAT)
    assert body["stop"] == ["STOP"]
    assert body["max_tokens"] == 64
    assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert "tools" not in body
    assert "parallel_tool_calls" not in body
    assert server.requests[-1].headers["authorization"] == "Bearer k"


async def test_reasoning_is_not_doubled_where_a_server_names_it_twice() -> None:
    async with serving(
        stream_reply(
            delta_event(reasoning_content="hm", reasoning="hm"),
            delta_event(reasoning=" yes"),
            delta_event("stop"),
            SSE_END,
        )
    ) as server:
        chunks = await reply_to(server)
    assert chunks[:2] == [ReasoningChunk(text="hm"), ReasoningChunk(text=" yes")]


def call_delta(
    index: int | None, *, call_id: str = "", name: str = "", arguments: str = ""
) -> bytes:
    function = {"name": name, "arguments": arguments}
    call: dict[str, object] = {"id": call_id, "type": "function", "function": function}
    return delta_event(tool_calls=[call if index is None else {**call, "index": index}])


async def test_tool_call_deltas_become_whole_calls() -> None:
    async with serving(
        stream_reply(
            call_delta(0, call_id="a", name="bash", arguments='{"comm'),
            call_delta(0, arguments='and": "ls"}'),
            call_delta(1, call_id="b", name="submit"),
            delta_event("tool_calls"),
            SSE_END,
        )
    ) as server:
        chunks = await reply_to(server, request(tools=True))
    assert chunks[:2] == [
        ToolCallChunk(call=ToolCall(id="a", name="bash", arguments='{"command": "ls"}')),
        ToolCallChunk(call=ToolCall(id="b", name="submit", arguments="{}")),
    ]
    assert server.bodies(CHAT)[0]["parallel_tool_calls"] is False


async def test_calls_that_are_all_numbered_zero_are_told_apart_by_id() -> None:
    async with serving(
        stream_reply(
            call_delta(0, call_id="a", name="bash", arguments="{}"),
            call_delta(0, call_id="b", name="bash", arguments="{}"),
            delta_event("tool_calls"),
            SSE_END,
        )
    ) as server:
        chunks = await reply_to(server, request(tools=True))
    calls = [chunk.call.id for chunk in chunks if isinstance(chunk, ToolCallChunk)]
    assert calls == ["a", "b"]


async def test_a_call_without_id_or_index_gets_an_id() -> None:
    async with serving(
        stream_reply(call_delta(None, name="bash", arguments="{}"), delta_event("stop"), SSE_END)
    ) as server:
        chunks = await reply_to(server, request(tools=True))
    call = next(chunk.call for chunk in chunks if isinstance(chunk, ToolCallChunk))
    assert call.id.startswith("call_")


async def test_failures_before_the_first_token_are_sent_again_and_shown() -> None:
    async with serving(
        error_reply(500, "loading", retry_after="0"),
        error_reply(503, "busy", retry_after="0.01"),
        text_reply("done at last"),
    ) as server:
        chunks = await reply_to(server)
    retries = [chunk for chunk in chunks if isinstance(chunk, RetryChunk)]
    assert [(retry.reason, retry.delay_s) for retry in retries] == [("loading", 0), ("busy", 0.01)]
    assert text_of(chunks) == "done at last"


async def test_retries_end() -> None:
    async with serving(error_reply(502, "bad gateway", retry_after="0")) as server:
        with pytest.raises(
            ModelUnavailableError, match=r"cannot serve now \(HTTP 502: bad gateway"
        ):
            await reply_to(server, num_retries=2)
    assert len(server.bodies(CHAT)) == 3


async def test_a_connection_that_drops_before_the_first_token_is_retried() -> None:
    async with serving(
        stream_reply(delta_event(role="assistant"), hangs_up=True), text_reply("ok")
    ) as server:
        chunks = await reply_to(server)
    assert isinstance(chunks[0], RetryChunk)
    assert text_of(chunks) == "ok"


async def test_a_reply_that_drops_in_the_middle_is_not_started_again() -> None:
    async with serving(
        stream_reply(delta_event(content="half"), hangs_up=True), text_reply("other")
    ) as server:
        with pytest.raises(ModelUnavailableError):
            await reply_to(server)
    assert len(server.bodies(CHAT)) == 1


async def test_a_stream_that_ends_without_a_finish_reason_is_broken() -> None:
    async with serving(stream_reply(delta_event(content="half"), SSE_END)) as server:
        with pytest.raises(ModelUnavailableError, match="broke off its reply"):
            await reply_to(server)


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {not json\n\n",
        b"data: \xff\xfe\n\n",
        b"<html>proxy</html>\n\n",
        sse([1, 2]),
        sse({"choices": 7}),
        sse({"choices": [{"delta": {"content": 5, "tool_calls": [3]}}]}),
    ],
)
async def test_garbage_is_retried_and_then_named(garbage: bytes) -> None:
    async with serving(stream_reply(garbage)) as server:
        with pytest.raises(ModelUnavailableError):
            await reply_to(server, num_retries=0)


async def test_slow_prefill_with_keep_alive_comments_is_waited_for() -> None:
    comments: list[bytes | float] = [b": keep-alive\n\n", 0.1] * 5
    async with serving(
        stream_reply(*comments, delta_event(content="slow"), delta_event("stop"), SSE_END)
    ) as server:
        assert text_of(await reply_to(server)) == "slow"


async def test_keep_alive_comments_do_not_outlive_the_timeout() -> None:
    comments: list[bytes | float] = [b": keep-alive\n\n", 0.1] * 50
    async with serving(stream_reply(*comments)) as server:
        begun = time.monotonic()
        with pytest.raises(ModelUnavailableError, match="did not answer within"):
            await reply_to(server, timeout_s=0.5)
        assert time.monotonic() - begun < 3
        await asyncio.wait_for(server.client_left.wait(), 5)


async def test_options_that_a_server_refuses_are_left_out_from_then_on() -> None:
    async with serving(
        error_reply(422, "Extra inputs are not permitted: continuous_usage_stats"),
        text_reply("one"),
        text_reply("two"),
    ) as server:
        connected = await connect(endpoint(server.base_url), ModelSettings(), api_key=None)
        for _ in range(2):
            assert [chunk async for chunk in connected.model.stream(request(tools=True))]
        await connected.model.aclose()
    first, second, third = server.bodies(CHAT)
    assert "continuous_usage_stats" in first["stream_options"]
    assert second["stream_options"] == third["stream_options"] == {"include_usage": True}
    assert third["parallel_tool_calls"] is False


async def test_a_400_that_blames_no_option_is_reported_with_the_servers_words() -> None:
    async with serving(error_reply(400, "the template of this model refuses system")) as server:
        with pytest.raises(ModelRequestError, match="the template of this model refuses system"):
            await reply_to(server)
    assert len(server.bodies(CHAT)) == 2


@pytest.mark.parametrize(("owner", "sent"), [("rnj-agent", "call"), ("vllm", None)])
async def test_only_the_bundled_runtime_hears_of_a_wished_form(
    owner: str, sent: str | None
) -> None:
    models = json_reply({"data": [{"id": "m", "max_model_len": 4096, "owned_by": owner}]})
    async with ScriptedServer({"/v1/models": models, CHAT: text_reply("ok")}) as server:
        connected = await connect(endpoint(server.base_url), ModelSettings(), api_key=None)
        async with aclosing(connected.model) as model:
            asked = replace(request(tools=True), reply_form="call")
            assert [chunk async for chunk in model.stream(asked)]
    assert server.bodies(CHAT)[0].get("reply_form") == sent


async def test_replies_are_drawn_as_the_profile_says_where_the_person_does_not() -> None:
    models = json_reply({"data": [{"id": "rnj-1-instruct", "max_model_len": 4096}]})
    async with ScriptedServer({"/v1/models": models, CHAT: text_reply("ok")}) as server:
        for settings in (ModelSettings(), ModelSettings(temperature=0.3)):
            connected = await connect(endpoint(server.base_url), settings, api_key=None)
            async with aclosing(connected.model) as model:
                assert [chunk async for chunk in model.stream(request())]
    drawn = [(body["temperature"], body["top_p"]) for body in server.bodies(CHAT)]
    assert drawn == [(0.0, 0.95), (0.3, 0.95)]


async def test_reasoning_leaves_the_history_where_it_is_refused() -> None:
    history = (
        UserMessage(content="q"),
        AssistantMessage(content="a", reasoning="r"),
        UserMessage(content="q2"),
    )
    async with serving(error_reply(400, "unknown field reasoning_content"), text_reply("x")) as srv:
        await reply_to(srv, request(*history))
    first, second = srv.bodies(CHAT)
    assert first["messages"][1]["reasoning_content"] == "r"
    assert "reasoning_content" not in second["messages"][1]


async def test_closing_the_iterator_closes_the_connection() -> None:
    pause = 60.0
    async with serving(stream_reply(delta_event(content="one"), pause)) as server:
        connected = await connect(endpoint(server.base_url), ModelSettings(), api_key=None)
        chunks = connected.model.stream(request())
        assert await anext(chunks) == TextChunk(text="one")
        await chunks.aclose()
        await asyncio.wait_for(server.client_left.wait(), 5)
        await connected.model.aclose()


async def test_cancelling_during_prefill_closes_the_connection() -> None:
    async with serving(stream_reply(60.0)) as server:
        task = asyncio.create_task(reply_to(server))
        await asyncio.sleep(0.5)
        assert server.bodies(CHAT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.client_left.wait(), 5)


OVERFLOWS = [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "the request exceeds the available context size (4096 tokens), try increasing it",
    "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
    "input length exceeds the context length",
    "Trying to keep the first 900 tokens when context the overflows. However, the model is loaded "
    "with context length of only 512 tokens",
    "`inputs` tokens + `max_new_tokens` must be <= 8193",
]


@pytest.mark.parametrize("message", OVERFLOWS)
async def test_overflow_is_recognised_in_every_servers_words(message: str) -> None:
    async with serving(error_reply(400, message)) as server:
        with pytest.raises(ContextOverflowError, match="does not fit the window of m"):
            await reply_to(server)
    assert len(server.bodies(CHAT)) == 1


async def test_overflow_is_recognised_by_code_and_inside_the_stream() -> None:
    error = {"error": {"message": "too many", "code": "context_length_exceeded"}}
    for reply in (json_reply(error, status=400), stream_reply(sse(error))):
        async with serving(reply) as server:
            with pytest.raises(ContextOverflowError, match="too many"):
                await reply_to(server)


async def test_an_unknown_model_names_what_there_is() -> None:
    async with serving(error_reply(404, "The model `x` does not exist.")) as server:
        with pytest.raises(ModelUnavailableError) as caught:
            await reply_to(server)
    assert "It has: m." in caught.value.message
    assert "--model m" in caught.value.hint


async def test_a_refused_key_names_the_variable() -> None:
    async with ScriptedServer({"/v1/models": error_reply(401, "Incorrect API key")}) as server:
        target = endpoint(server.base_url, api_key_env="VLLM_API_KEY")
        with pytest.raises(ModelRequestError, match="Incorrect API key") as caught:
            await connect(target, ModelSettings(), api_key="secret-value")
    assert "VLLM_API_KEY" in caught.value.hint
    assert "secret-value" not in caught.value.message + caught.value.hint


async def test_nobody_there_names_the_command_that_starts_a_server() -> None:
    target = endpoint("http://127.0.0.1:9/v1", name="ollama")
    with pytest.raises(ModelUnavailableError, match="Cannot reach Ollama") as caught:
        await connect(target, ModelSettings(), api_key=None)
    assert "ollama serve" in caught.value.hint
