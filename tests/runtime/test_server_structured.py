"""Tool calls and JSON that are held to their schemas, through the openai package's own helpers.

The model is noise: without a grammar it would not write one brace.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
)
from pydantic import BaseModel, ConfigDict

from tests.runtime.live_server import API_KEY, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


def tool(name: str) -> ChatCompletionFunctionToolParam:
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {"command": {"type": "string", "maxLength": 6}, "wait": {"type": "boolean"}},
        "required": ["command", "wait"],
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


BASH, EDIT = tool("bash"), tool("edit")


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    answer: Literal["yes", "no"]
    sure: bool


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


@pytest.fixture
def client(noise: LiveServer) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=noise.base_url, api_key=API_KEY, max_retries=0) as client:
        yield client


def functions_of(message: Any) -> list[tuple[str, dict[str, Any]]]:
    return [
        (call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or []
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]


def test_parse_gives_the_model_that_was_asked_for(client: openai.OpenAI) -> None:
    for seed in range(5):
        reply = client.chat.completions.parse(
            model="noise", messages=HI, response_format=Verdict, seed=seed, max_tokens=200
        )
        assert isinstance(reply.choices[0].message.parsed, Verdict)
        assert reply.choices[0].finish_reason == "stop"


async def test_parse_streams_too(noise: LiveServer) -> None:
    client = openai.AsyncOpenAI(base_url=noise.base_url, api_key=API_KEY, max_retries=0)
    async with (
        client,
        client.chat.completions.stream(
            model="noise", messages=HI, response_format=Verdict, temperature=0, max_tokens=200
        ) as stream,
    ):
        async for _ in stream:
            pass
        completion = await stream.get_final_completion()
    assert isinstance(completion.choices[0].message.parsed, Verdict)


def test_a_json_schema_by_hand(client: openai.OpenAI) -> None:
    schema: dict[str, object] = {
        "type": "array",
        "items": {"enum": [1, 2, 3]},
        "minItems": 2,
        "maxItems": 4,
    }
    reply = client.chat.completions.create(
        model="noise",
        messages=HI,
        n=3,
        seed=1,
        max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "list", "schema": schema}},
    )
    for choice in reply.choices:
        items = json.loads(choice.message.content or "")
        assert 2 <= len(items) <= 4
        assert set(items) <= {1, 2, 3}


def test_a_json_object_is_one_as_far_as_it_goes(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="noise",
        messages=HI,
        max_tokens=20,
        temperature=0,
        response_format={"type": "json_object"},
    )
    text = reply.choices[0].message.content or ""
    assert text.lstrip().startswith("{")


def test_a_required_call_comes_and_fits_its_schema(client: openai.OpenAI) -> None:
    for seed in range(4):
        reply = client.chat.completions.create(
            model="noise",
            messages=HI,
            tools=[BASH, EDIT],
            tool_choice="required",
            parallel_tool_calls=False,
            seed=seed,
            max_tokens=300,
        )
        ((name, arguments),) = functions_of(reply.choices[0].message)
        assert name in {"bash", "edit"}
        assert set(arguments) == {"command", "wait"}
        assert len(arguments["command"]) <= 6
        assert reply.choices[0].finish_reason == "tool_calls"


def test_several_calls_come_where_they_may(client: openai.OpenAI) -> None:
    """Noise never stops calling: the last call is cut off by the limit, and says so."""
    reply = client.chat.completions.create(
        model="noise",
        messages=HI,
        tools=[BASH],
        tool_choice="required",
        seed=1,
        n=8,
        max_tokens=400,
    )
    choice = max(reply.choices, key=lambda choice: len(choice.message.tool_calls or []))
    *whole, _ = choice.message.tool_calls or []
    assert whole
    for call in whole:
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        assert set(json.loads(call.function.arguments)) == {"command", "wait"}
    assert choice.finish_reason in {"length", "tool_calls"}


def test_a_named_call_is_to_that_tool(client: openai.OpenAI) -> None:
    for seed in range(4):
        reply = client.chat.completions.create(
            model="noise",
            messages=HI,
            tools=[BASH, EDIT],
            tool_choice={"type": "function", "function": {"name": "edit"}},
            parallel_tool_calls=False,
            seed=seed,
            max_tokens=300,
        )
        ((name, arguments),) = functions_of(reply.choices[0].message)
        assert name == "edit"
        assert isinstance(arguments["wait"], bool)


def test_streamed_calls_are_those_of_the_whole_reply(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {
        "tools": [BASH, EDIT],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "seed": 3,
        "n": 2,
        "max_tokens": 300,
    }
    whole = client.chat.completions.create(model="noise", messages=HI, **options)
    with client.chat.completions.stream(model="noise", messages=HI, **options) as stream:
        deltas = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        streamed = stream.get_final_completion()
    assert len(deltas) > len(streamed.choices), "the arguments came in one piece"
    for one, other in zip(whole.choices, streamed.choices, strict=True):
        assert functions_of(one.message) == functions_of(other.message)
        assert other.finish_reason == "tool_calls"


def test_with_auto_text_is_free(client: openai.OpenAI) -> None:
    with_tools = client.chat.completions.create(
        model="noise", messages=HI, tools=[BASH], max_tokens=15, temperature=0
    )
    assert with_tools.choices[0].finish_reason == "length"
    assert not with_tools.choices[0].message.tool_calls


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [BASH], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [BASH], "tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"tools": [BASH], "tool_choice": {"type": "function", "function": {"name": "rm"}}},
            "tool_choice",
        ),
        ({"tools": [BASH], "response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "", "schema": {}}}},
            "response_format.json_schema.name",
        ),
    ],
)
def test_what_cannot_be_asked_for(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"messages": HI, **fields}, cast_to=object)
    assert caught.value.param == param


def test_without_guiding_promises_are_not_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("free") / "noise.gguf")
    with (
        serving(loaded_service(path, name="noise", guided=False)) as live,
        openai.OpenAI(base_url=live.base_url, api_key=API_KEY, max_retries=0) as client,
    ):
        for fields in (
            {"tools": [BASH], "tool_choice": "required"},
            {"response_format": {"type": "json_object"}},
        ):
            with pytest.raises(openai.BadRequestError, match="--no-guided"):
                client.post("/chat/completions", body={"messages": HI, **fields}, cast_to=object)
        free = client.chat.completions.create(
            model="noise", messages=HI, tools=[BASH], max_tokens=3
        )
        assert free.choices
