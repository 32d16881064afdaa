"""Clients that mean harm: raw bytes, slow bytes, schemas made to be expensive. The server lives."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.server.wire_chat import ChatRequest
from rnj_agent.runtime.server.wire_completion import CompletionBody
from tests.runtime.live_server import API_KEY, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

HI = [{"role": "user", "content": "hi"}]
HEADERS = {"Authorization": f"Bearer {API_KEY}"}
HEAD = (
    f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n"
    "Content-Type: application/json\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer, None, None]:
    path = write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")
    with serving(loaded_service(path, name="noise")) as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=server.url, headers=HEADERS, timeout=60) as http:
        yield http
        answer = http.post("/v1/chat/completions", json={"messages": HI, "max_tokens": 1})
        assert answer.status_code == 200, "the server does not live"
        server.wait_until_idle()


def exchange(server: LiveServer, request: bytes, *, timeout_s: float = 20.0) -> bytes:
    """Send raw bytes and read all that comes back until the server closes."""
    address = httpx.URL(server.url)
    received = b""
    with (
        # what the server does not read before it closes makes a reset of the close
        contextlib.suppress(OSError),
        socket.create_connection((address.host, address.port), timeout=timeout_s) as connection,
    ):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2**20 + b"\r\n\r\n",
        b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD.encode() + b"Content-Length: -5\r\n\r\n{}",
        HEAD.encode() + b"Content-Length: 99999999999999999999\r\n\r\n{}",
        HEAD.encode() + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    ],
)
def test_what_is_no_http_is_refused(server: LiveServer, request_bytes: bytes) -> None:
    answer = exchange(server, request_bytes)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert b"Traceback" not in answer


def test_paths_that_are_odd_are_not_found(client: httpx.Client) -> None:
    for path in ("/../../etc/passwd", "/%2e%2e/x", "/v1/%00", "/v1/models/%ff", "//x", "/%"):
        assert client.get(path).status_code == 404


def test_a_body_that_comes_too_slowly_is_given_up(
    server: LiveServer, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnj_agent.runtime.server.request_body.BODY_TIMEOUT_S", 0.3)
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port), timeout=20) as connection:
        connection.sendall(HEAD.encode() + b"Content-Length: 1000\r\n\r\n{")
        begun = time.monotonic()
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"error"' in answer
    assert time.monotonic() - begun < 15
    assert client.get("/v1/models").status_code == 200


def nested(depth: int) -> Any:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


HOSTILE_SCHEMAS: list[Any] = [
    {"type": "string", "pattern": "(a+)+$"},
    {"type": "string", "pattern": "(x{1,1000}){1,1000}"},
    {"type": "string", "pattern": "((a|b|c|d)*e){50}" * 20},
    {"type": "string", "pattern": "("},
    {"type": "string", "pattern": "(?=a)b"},
    {"type": "string", "pattern": "\\p{L}{1,9999}" * 100},
    {"type": "string", "pattern": "a" * 200_000},
    {"type": "string", "minLength": 10**9},
    {"type": "string", "maxLength": 10**18},
    {"type": "array", "items": {}, "minItems": 10**9},
    {"type": "integer", "minimum": -(10**300), "maximum": 10**300},
    {"$ref": "#"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    {"$ref": "https://example.org/schema.json"},
    {"$ref": "file:///etc/passwd"},
    {"anyOf": [{"anyOf": [{"type": "string"}] * 50}] * 50},
    {"allOf": [{"properties": {f"p{i}": {"type": "string"}}} for i in range(300)]},
    {"properties": {f"p{i}": {"type": "string"} for i in range(5000)}},
    {"enum": [f"value {i}" for i in range(20_000)]},
    {"type": "nonsense"},
    {"properties": 5},
    {"type": ["string", "string", 7]},
    {"const": {"a": [1e308, -1e308, "\ud7ff\u0000"]}},
    {"not": {}},
    nested(60),
    nested(150),
]


@pytest.mark.parametrize("schema", HOSTILE_SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
@pytest.mark.parametrize("place", ["response_format", "tools"])
def test_hostile_schemas_are_answered_in_bounded_time(
    client: httpx.Client, schema: Any, place: str
) -> None:
    if place == "tools":
        arguments = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
        fields: dict[str, Any] = {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": arguments}}],
            "tool_choice": "required",
        }
    else:
        wrapped = {"name": "s", "schema": schema}
        fields = {"response_format": {"type": "json_schema", "json_schema": wrapped}}
    answer = client.post("/v1/chat/completions", json={"messages": HI, "max_tokens": 5, **fields})
    assert answer.status_code in {200, 400}, answer.text
    if answer.status_code == 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert len(answer.json()["error"]["message"]) < 2000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
CHAT_FIELDS = sorted(ChatRequest.model_fields)
TEXT_FIELDS = sorted(CompletionBody.model_fields)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_values_are_answered_or_refused(client: httpx.Client, data: st.DataObject) -> None:
    path, good, names = data.draw(
        st.sampled_from(
            [
                ("/v1/chat/completions", {"messages": HI, "max_tokens": 1}, CHAT_FIELDS),
                ("/v1/completions", {"prompt": "a", "max_tokens": 1}, TEXT_FIELDS),
                ("/tokenize", {"prompt": "a"}, ["messages", "tools", "prompt", "model"]),
                ("/detokenize", {"tokens": [1]}, ["tokens", "model"]),
            ]
        )
    )
    changes = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=3))
    answer = client.post(
        path,
        content=json.dumps(good | changes),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in {200, 400, 404}, answer.text
    if answer.status_code != 200:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
