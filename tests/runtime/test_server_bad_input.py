"""Whatever clients send, they get a clear 4xx in OpenAI's shape and the server lives."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.runtime.live_server import API_KEY, CONTEXT, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Generator[httpx.Client, None, None]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
        yield http
        answer = http.post("/v1/chat/completions", json={"messages": HI, "max_tokens": 1})
        assert answer.status_code == 200, "the server does not live"


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


def post(client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    return client.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages":' + b"[" * 100_000,
        b"null",
        b"[]",
        b'"text"',
    ],
)
def test_what_is_not_a_json_object(client: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/chat/completions", content=body, headers=headers)
    assert error_of(response, 400)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content",
        ),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 1e999}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 1.5}, "top_k"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_completion_tokens": -3}, "max_completion_tokens"),
        ({"seed": 2**70}, "seed"),
        ({"stop": 5}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": "1"}, "n"),
        ({"n": True}, "n"),
        ({"n": 10**400}, "n"),
        ({"seed": 1e400}, "seed"),
        ({"max_tokens": 2**63}, "max_tokens"),
        ({"min_p": 1.1}, "min_p"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": "none"}, "frequency_penalty"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"٣": 1}}, "logit_bias"),
        ({"logit_bias": {"1" * 5000: 1}}, "logit_bias"),
        ({"logit_bias": {"100000000": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"logit_bias": {str(i): 0 for i in range(1025)}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"stop": ["x" * 1025]}, "stop[0]"),
        ({"messages": HI * 10_001}, "messages"),
        ({"stream_options": []}, "stream_options"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a"}}] * 257}, "tools"),
        ({"response_format": "json"}, "response_format"),
        ({"logprobs": 1}, "logprobs"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, fields: dict[str, Any], param: str) -> None:
    body = json.dumps({"messages": HI, "max_tokens": 1, **fields})
    response = client.post(
        "/v1/chat/completions", content=body, headers={"Content-Type": "application/json"}
    )
    error = error_of(response, 400)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "field", ["functions", "guided_json", "guided_regex", "structured_outputs"]
)
def test_fields_of_other_apis_that_would_be_lost_are_refused(
    client: httpx.Client, field: str
) -> None:
    assert field in error_of(post(client, {"messages": HI, field: "x"}), 400)["message"]


def test_fields_that_nobody_knows_and_nulls_are_ignored(client: httpx.Client) -> None:
    nulls = dict.fromkeys(["stop", "seed", "tools", "temperature", "top_p", "n", "stream_options"])
    response = post(client, {"messages": HI, "max_tokens": 2, "user": "me", "store": 1, **nulls})
    assert response.status_code == 200


def test_a_prompt_longer_than_the_window_is_refused_with_the_numbers(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": "x" * (CONTEXT + 10)}]
    for stream in (False, True):
        error = error_of(post(client, {"messages": messages, "stream": stream}), 400)
        assert error["code"] == "context_length_exceeded"
        assert str(CONTEXT) in error["message"]


def test_more_tokens_than_fit_are_cut_to_the_room(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": "x" * (CONTEXT - 60)}]
    answer = post(client, {"messages": messages, "max_tokens": 10**9, "ignore_eos": True}).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == CONTEXT


def test_of_a_key_that_comes_twice_the_last_counts(client: httpx.Client) -> None:
    body = b'{"messages": 5, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}'
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 200


def test_ten_megabytes_are_refused_quickly(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": "fox " * 2_500_000}]
    response = post(client, {"messages": messages})
    assert error_of(response, 400)["code"] == "context_length_exceeded"
    assert response.elapsed.total_seconds() < 5


def test_a_body_beyond_the_limit_is_refused(client: httpx.Client) -> None:
    error_of(post(client, {"messages": [{"role": "user", "content": "x" * 33 * 2**20}]}), 413)


def test_a_model_that_is_not_served(client: httpx.Client) -> None:
    error = error_of(post(client, {"messages": HI, "model": "gpt-4o"}), 404)
    assert error["code"] == "model_not_found"
    assert "noise" in error["message"]


def test_paths_methods_and_content_types(client: httpx.Client) -> None:
    error_of(client.get("/nothing"), 404)
    error_of(client.get("/v1/chat/completions"), 405)
    error_of(client.get("/v1/chat/completions/"), 404)
    error_of(client.post("/v1/chat/completions", data={"messages": "x"}), 415)
    assert error_of(client.get("/v1/models/gpt-4o"), 404)["code"] == "model_not_found"
    assert client.get("/v1/models/noise").json()["id"] == "noise"


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer sk-tesT", "sk-test", "Bearer \xe9"])
def test_a_wrong_key(server: LiveServer, key: str) -> None:
    headers = {b"Authorization": key.encode("latin-1")} if key else {}
    for method, path in (
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("POST", "/tokenize"),
        ("POST", "/v1/x"),
    ):
        response = httpx.request(method, server.url + path, headers=headers)
        assert error_of(response, 401)["code"] == "invalid_api_key"
    assert httpx.get(f"{server.url}/health").status_code == 200


@pytest.mark.parametrize("body", [{}, {"messages": HI, "prompt": "x"}, {"prompt": 1}])
def test_tokenize_wants_messages_or_a_prompt(client: httpx.Client, body: dict[str, Any]) -> None:
    error_of(client.post("/tokenize", json=body), 400)


def test_broken_arguments_of_an_earlier_call_are_replayed_not_refused(client: httpx.Client) -> None:
    function = {"name": "bash", "arguments": '{"command": "ls'}
    call = {"id": "1", "type": "function", "function": function}
    messages = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "bad arguments"},
    ]
    assert post(client, {"messages": messages, "max_tokens": 1}).status_code == 200


def test_without_a_key_foreign_host_names_are_refused(tmp_path: Path) -> None:
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    with serving(loaded_service(path, name="noise"), api_key=None) as live:
        assert httpx.get(f"{live.url}/v1/models").status_code == 200
        rebound = httpx.get(f"{live.url}/v1/models", headers={"Host": "evil.example"})
        assert error_of(rebound, 400)["code"] == "invalid_host"
        for host in ("localhost:1", "127.0.0.9", "[::1]:80", "LOCALHOST"):
            own = httpx.get(f"{live.url}/v1/models", headers={"Host": host})
            assert own.status_code == 200, host
        for host in ("[::1", "localhost.evil.example", "@localhost@x", "", "1.2.3.4"):
            other = httpx.get(f"{live.url}/v1/models", headers={"Host": host})
            assert error_of(other, 400)["code"] == "invalid_host", host
