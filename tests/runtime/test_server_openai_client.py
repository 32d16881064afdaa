"""The openai package, unchanged, against the live server."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from rnj_agent.runtime.server.service import Service
from tests.runtime.live_server import API_KEY, CONTEXT, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import write_noise_checkpoint, write_reciting_checkpoint

CALL = '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>'
SECOND_CALL = CALL.replace("ls", "pwd")
HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
BASH: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Run a command.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    """A model that says a sentence, then makes two calls; no grammar: its tokens are odd ones."""
    words = ["I look. 漢字 🙂", *CALL.partition("name"), *SECOND_CALL.partition('"pwd"')]
    path = write_reciting_checkpoint(tmp_path_factory.mktemp("caller") / "caller.gguf", words)
    with serving(loaded_service(path, name="caller", guided=False)) as live:
        yield live


def client_of(server: LiveServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=API_KEY, max_retries=0)


def async_client_of(server: LiveServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key=API_KEY, max_retries=0)


def test_models_and_health(noise: LiveServer) -> None:
    with client_of(noise) as client:
        (model,) = client.models.list().data
    assert model.id == "noise"
    assert model.model_extra is not None
    assert model.model_extra["max_model_len"] == CONTEXT
    assert httpx.get(f"{noise.url}/health").json()["status"] == "ok"


def test_streaming_and_whole_replies_are_the_same_text(noise: LiveServer) -> None:
    with client_of(noise) as client:
        whole = client.chat.completions.create(
            model="noise", messages=HI, temperature=0, max_tokens=40
        )
        stream = client.chat.completions.create(
            model="noise",
            messages=HI,
            temperature=0,
            max_tokens=40,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert whole.usage is not None
    assert usage.completion_tokens == whole.usage.completion_tokens == 40
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens - 1
    assert not any(c.usage for c in chunks[:-1])


def test_usage_with_every_chunk(noise: LiveServer) -> None:
    with client_of(noise) as client:
        stream = client.chat.completions.create(
            model="noise",
            messages=HI,
            temperature=0,
            max_tokens=20,
            stream=True,
            extra_body={"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        )
        counts = [c.usage.completion_tokens for c in stream if c.usage]
    assert counts == sorted(counts)
    assert counts[-1] == 20
    assert len(counts) > 3


def test_seed_and_stop(noise: LiveServer) -> None:
    with client_of(noise) as client:

        def ask(**options: object) -> str:
            reply = client.chat.completions.create(
                model="noise", messages=HI, max_tokens=30, seed=5, extra_body=options
            )
            return reply.choices[0].message.content or ""

        free = ask()
        assert ask() == free
        stop = free[10:12]
        assert ask(stop=stop) == ask(stop=[stop, "never"]) == free[: free.index(stop)]
        assert ask(max_completion_tokens=1) == ask(max_tokens=1)


def test_tool_calls_whole(caller: LiveServer) -> None:
    with client_of(caller) as client:
        reply = client.chat.completions.create(
            model="caller", messages=HI, tools=[BASH], temperature=0
        )
    (choice,) = reply.choices
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.content or "").strip() == "I look. 漢字 🙂"
    calls = choice.message.tool_calls or []
    assert [c.function.name for c in calls if c.type == "function"] == ["bash", "bash"]
    assert len({call.id for call in calls}) == 2


def test_tool_calls_streamed(caller: LiveServer) -> None:
    with client_of(caller) as client:
        stream = client.chat.completions.create(
            model="caller", messages=HI, tools=[BASH], temperature=0, stream=True
        )
        chunks = [chunk.choices[0] for chunk in stream if chunk.choices]
    assert chunks[-1].finish_reason == "tool_calls"
    deltas = [call for chunk in chunks for call in chunk.delta.tool_calls or []]
    assert [call.index for call in deltas] == [0, 1]
    functions = [call.function for call in deltas if call.function]
    assert [f.arguments for f in functions] == ['{"command": "ls"}', '{"command": "pwd"}']


def test_without_parallel_calls_the_reply_ends_after_the_first(caller: LiveServer) -> None:
    with client_of(caller) as client:
        reply = client.chat.completions.create(
            model="caller",
            messages=HI,
            tools=[BASH],
            temperature=0,
            parallel_tool_calls=False,
        )
        both = client.chat.completions.create(
            model="caller", messages=HI, tools=[BASH], temperature=0
        )
    assert len(reply.choices[0].message.tool_calls or []) == 1
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage is not None
    assert both.usage is not None
    assert reply.usage.completion_tokens < both.usage.completion_tokens


@pytest.mark.parametrize("options", [{}, {"tools": [BASH], "tool_choice": "none"}])
def test_without_tools_the_reply_is_all_text(
    caller: LiveServer, options: dict[str, object]
) -> None:
    with client_of(caller) as client:
        reply = client.chat.completions.create(
            model="caller", messages=HI, temperature=0, extra_body=options
        )
    message = reply.choices[0].message
    assert not message.tool_calls
    assert message.content == f"I look. 漢字 🙂{CALL}{SECOND_CALL}"
    assert reply.choices[0].finish_reason == "stop"


def test_a_conversation_with_tool_results_renders(caller: LiveServer) -> None:
    with client_of(caller) as client:
        first = client.chat.completions.create(
            model="caller", messages=HI, tools=[BASH], temperature=0
        ).choices[0]
        calls = first.message.tool_calls or []
        history: list[ChatCompletionMessageParam] = [
            *HI,
            first.message.to_dict(),  # pyright: ignore[reportAssignmentType]
            *({"role": "tool", "tool_call_id": call.id, "content": "a.py"} for call in calls),
        ]
        reply = client.chat.completions.create(model="caller", messages=history, tools=[BASH])
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens
    assert reply.usage.prompt_tokens_details.cached_tokens > 50


def test_tokenize_counts_what_the_server_will_see(caller: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    body = {"messages": HI, "tools": [BASH]}
    counted = httpx.post(f"{caller.url}/tokenize", json=body, headers=headers).json()
    with client_of(caller) as client:
        reply = client.chat.completions.create(model="caller", messages=HI, tools=[BASH])
    assert reply.usage is not None
    assert counted["count"] == len(counted["tokens"]) == reply.usage.prompt_tokens
    assert counted["max_model_len"] == CONTEXT
    text = httpx.post(f"{caller.url}/tokenize", json={"prompt": "hi"}, headers=headers).json()
    assert text["count"] == 2


def test_while_the_model_loads_health_answers_and_others_say_so() -> None:
    service = Service(model_name="slow", progress=0.25)
    with serving(service) as live, client_of(live) as client:
        health = httpx.get(f"{live.url}/health")
        assert health.status_code == 503
        assert health.json() == {"status": "loading", "model": "slow", "progress": 0.25}
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="slow", messages=HI)
        assert caught.value.status_code == 503
        assert caught.value.response.headers["retry-after"]
        assert caught.value.code == "model_loading"


def test_errors_are_the_classes_that_clients_catch(noise: LiveServer) -> None:
    with client_of(noise) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="gpt-4o", messages=HI)
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as too_long:
            client.completions.create(model="noise", prompt="x" * 2 * CONTEXT)
        assert too_long.value.code == "context_length_exceeded"
        with pytest.raises(openai.AuthenticationError) as stranger:
            client.with_options(api_key="sk-other").models.list()
        assert stranger.value.code == "invalid_api_key"
        assert client.models.retrieve("noise").id == "noise"


async def test_the_async_client_streams_and_asks_side_by_side(noise: LiveServer) -> None:
    async with async_client_of(noise) as client:

        async def streamed(text: str) -> str:
            stream = await client.chat.completions.create(
                model="noise",
                messages=[{"role": "user", "content": text}],
                temperature=0,
                max_tokens=30,
                stream=True,
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

        texts = await asyncio.gather(*(streamed(text) for text in "abcd"))
        whole = await client.chat.completions.create(
            model="noise",
            messages=[{"role": "user", "content": "c"}],
            temperature=0,
            max_tokens=30,
        )
    assert texts[2] == whole.choices[0].message.content


def test_tokens_go_there_and_back(noise: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    text = "hi 漢字 <|im_start|>"
    ids = httpx.post(f"{noise.url}/tokenize", json={"prompt": text}, headers=headers).json()
    body = {"tokens": ids["tokens"]}
    back = httpx.post(f"{noise.url}/detokenize", json=body, headers=headers)
    assert back.json() == {"prompt": text}
    wrong = httpx.post(f"{noise.url}/detokenize", json={"tokens": [-1]}, headers=headers)
    assert wrong.status_code == 400


def test_the_path_is_a_name_too(noise: LiveServer) -> None:
    (alias,) = noise.service.aliases
    with client_of(noise) as client:
        reply = client.chat.completions.create(model=alias, messages=HI, max_tokens=1)
    assert reply.model == "noise"
