"""What servers say about their window and their tokens, in the words of each kind of server."""

from __future__ import annotations

import pytest

from rnj_agent.agent.config import ModelSettings
from rnj_agent.agent.endpoint import (
    ResolvedEndpoint,
    api_key_for,
    is_loopback,
    without_credentials,
)
from rnj_agent.agent.errors import ModelRequestError, ModelUnavailableError
from rnj_agent.agent.messages import SystemMessage, UserMessage
from rnj_agent.agent.model import ModelRequest
from rnj_agent.agent.model_connection import (
    DEFAULT_CONTEXT_WINDOW,
    Connected,
    connect,
)
from rnj_agent.agent.scripted_server import (
    SSE_END,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    json_reply,
    stream_reply,
    usage_event,
)

MESSAGES = (SystemMessage(content="be brief"), UserMessage(content="count me" * 20))


def models(*rows: dict[str, object]) -> ScriptedReply:
    return json_reply({"data": list(rows)})


async def connected_to(
    server: ScriptedServer, *, model: str = "m", window: int | None = None
) -> Connected:
    settings = ModelSettings(name=model, context_window=window)
    endpoint = ResolvedEndpoint(
        name="x", base_url=server.base_url, api_key_env="", is_bundled=False
    )
    connected = await connect(endpoint, settings, api_key=None)
    await connected.model.aclose()
    return connected


OLLAMA_SHOWN = json_reply({"parameters": "stop x\nnum_ctx    16384\n", "model_info": {}})
WINDOWS: list[tuple[str, dict[str, ScriptedReply], int]] = [
    ("vLLM", {"/v1/models": models({"id": "m", "max_model_len": 32768})}, 32768),
    ("Together", {"/v1/models": json_reply([{"id": "m", "context_length": 9000}])}, 9000),
    (
        "Hugging Face",
        {
            "/v1/models": models(
                {"id": "m", "providers": [{"context_length": 9000}, {"context_length": 7000}, {}]}
            )
        },
        7000,
    ),
    (
        "llama.cpp",
        {
            "/v1/models": models({"id": "m", "meta": {"n_ctx_train": 131072}}),
            "/props": json_reply({"default_generation_settings": {"n_ctx": 5120}}),
        },
        5120,
    ),
    (
        "LM Studio",
        {
            "/v1/models": models({"id": "m"}, {"id": "n"}),
            "/api/v0/models": json_reply(
                {"data": [{"id": "n"}, {"id": "m", "loaded_context_length": 6000}]}
            ),
        },
        6000,
    ),
    (
        "Ollama, configured",
        {"/v1/models": models({"id": "m"}), "/api/show": OLLAMA_SHOWN},
        16384,
    ),
    (
        "Ollama, loaded",
        {
            "/v1/models": models({"id": "m"}),
            "/api/show": OLLAMA_SHOWN,
            "/api/ps": json_reply({"models": [{"name": "m", "context_length": 8000}]}),
        },
        8000,
    ),
]


@pytest.mark.parametrize(
    ("replies", "window"), [row[1:] for row in WINDOWS], ids=[w[0] for w in WINDOWS]
)
async def test_the_window_is_found(replies: dict[str, ScriptedReply], window: int) -> None:
    async with ScriptedServer(replies) as server:
        connected = await connected_to(server)
    assert connected.model.info.context_window == window
    assert connected.warnings == ()


async def test_ollamas_silent_default_is_said_aloud() -> None:
    async with ScriptedServer(
        {"/v1/models": models({"id": "m"}), "/api/show": json_reply({"model_info": {}})}
    ) as server:
        connected = await connected_to(server)
    assert connected.model.info.context_window == 4096
    assert "OLLAMA_CONTEXT_LENGTH" in connected.warnings[0]


async def test_an_unknown_window_is_stated_not_guessed_high() -> None:
    async with ScriptedServer({"/v1/models": models({"id": "m"})}) as server:
        connected = await connected_to(server)
    assert connected.model.info.context_window == DEFAULT_CONTEXT_WINDOW
    assert "does not say its window" in connected.warnings[0]


async def test_the_persons_window_wins_and_is_compared() -> None:
    async with ScriptedServer({"/v1/models": models({"id": "m", "max_model_len": 100})}) as server:
        connected = await connected_to(server, window=200)
    assert connected.model.info.context_window == 200
    assert connected.warnings == ("model.context_window is 200, but the server says 100",)


async def test_the_only_model_is_taken_where_none_is_named() -> None:
    async with ScriptedServer({"/v1/models": models({"id": "solo", "max_model_len": 9})}) as server:
        assert (await connected_to(server, model="")).model.info.name == "solo"


async def test_several_models_and_no_name_is_an_error_that_lists_them() -> None:
    async with ScriptedServer({"/v1/models": models({"id": "a"}, {"id": "b"})}) as server:
        with pytest.raises(ModelUnavailableError, match="2 models: a, b") as caught:
            await connected_to(server, model="")
    assert caught.value.hint == "--model a"


async def test_a_model_that_is_not_listed_is_warned_about() -> None:
    async with ScriptedServer({"/v1/models": models({"id": "a", "max_model_len": 9})}) as server:
        connected = await connected_to(server, model="b")
    assert any("does not list 'b', only a" in line for line in connected.warnings)


async def test_tokens_are_counted_by_a_server_that_renders_messages() -> None:
    async with ScriptedServer(
        {"/v1/models": models({"id": "m"}), "/tokenize": json_reply({"count": 77})}
    ) as server:
        connected = await connect_open(server)
        assert connected.model.info.exact_counts
        for _ in range(3):
            assert await connected.model.count_tokens(MESSAGES, []) == 77
        await connected.model.aclose()
        # One to learn the dialect, one for the count, none for what was counted before.
        sent = server.bodies("/tokenize")
        assert len(sent) == 2
        assert sent[1]["messages"][0] == {"role": "system", "content": "be brief"}


async def connect_open(server: ScriptedServer) -> Connected:
    endpoint = ResolvedEndpoint(
        name="x", base_url=server.base_url, api_key_env="", is_bundled=False
    )
    return await connect(endpoint, ModelSettings(name="m"), api_key=None)


async def test_tokens_are_counted_by_llama_cpp_in_two_requests() -> None:
    async with ScriptedServer(
        {
            "/v1/models": models({"id": "m"}),
            "/apply-template": json_reply({"prompt": "<s>rendered"}),
            "/tokenize": json_reply({"tokens": [1, 2, 3]}),
        }
    ) as server:
        connected = await connect_open(server)
        assert await connected.model.count_tokens(MESSAGES, []) == 3
        await connected.model.aclose()
    assert server.bodies("/tokenize")[-1]["content"] == "<s>rendered"


async def test_an_estimate_learns_from_the_servers_usage() -> None:
    async with ScriptedServer(
        {
            "/v1/models": models({"id": "m"}),
            "/v1/chat/completions": stream_reply(delta_event("stop"), usage_event(61, 0), SSE_END),
        }
    ) as server:
        connected = await connect_open(server)
        model = connected.model
        assert not model.info.exact_counts
        assert await model.count_tokens(MESSAGES, []) > 61
        request = ModelRequest(messages=MESSAGES, tools=[], max_tokens=1)
        assert [chunk async for chunk in model.stream(request)]
        assert await model.count_tokens(MESSAGES, []) == 61
        await model.aclose()


async def test_a_counter_that_fails_later_falls_back_to_the_estimate() -> None:
    async with ScriptedServer(
        {
            "/v1/models": models({"id": "m"}),
            "/tokenize": [json_reply({"count": 5}), json_reply({"oops": 1}, status=500)],
        }
    ) as server:
        connected = await connect_open(server)
        assert await connected.model.count_tokens(MESSAGES, []) > 40
        await connected.model.aclose()


def test_a_public_endpoint_without_its_key_is_refused_before_anything_is_sent() -> None:
    endpoint = ResolvedEndpoint(
        name="together",
        base_url="https://api.together.xyz/v1",
        api_key_env="TOGETHER_API_KEY",
        is_bundled=False,
    )
    with pytest.raises(ModelRequestError) as caught:
        api_key_for(endpoint, {})
    assert caught.value.hint == "export TOGETHER_API_KEY=…"
    assert api_key_for(endpoint, {"TOGETHER_API_KEY": "k"}) == "k"


def test_urls_lose_their_credentials_and_loopback_is_known() -> None:
    assert without_credentials("http://me:secret@host:1/v1") == "http://host:1/v1"
    assert is_loopback("http://[::1]:8000/v1")
    assert not is_loopback("http://127.0.0.1.example.com/v1")


async def test_requests_to_this_machine_go_through_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with ScriptedServer({"/v1/models": models({"id": "m", "max_model_len": 64})}) as server:
        assert (await connected_to(server)).model.info.context_window == 64


async def test_what_speaks_no_json_is_named() -> None:
    page = ScriptedReply(parts=(b"<html>login</html>",), content_type="text/html")
    async with ScriptedServer({"/v1/models": page}) as server:
        with pytest.raises(ModelUnavailableError):
            await connected_to(server, model="")
