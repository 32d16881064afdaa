"""Many clients at once, those that leave in between, and those for whom there is no room."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Generator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.runtime.live_server import API_KEY, LiveServer, loaded_service, serving
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
HEADERS = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


@pytest.fixture(scope="module")
def noise(checkpoint: Path) -> Generator[LiveServer, None, None]:
    with serving(loaded_service(checkpoint, name="noise")) as live:
        yield live


def client_of(server: LiveServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key=API_KEY, max_retries=0)


async def test_clients_at_once_get_what_they_get_alone(noise: LiveServer) -> None:
    async def ask(number: int, client: openai.AsyncOpenAI) -> str:
        reply = await client.chat.completions.create(
            model="noise",
            messages=[{"role": "user", "content": f"client {number}"}],
            max_tokens=60,
            temperature=1,
            seed=number,
        )
        return reply.choices[0].message.content or ""

    async with client_of(noise) as client:
        together = await asyncio.gather(*(ask(number, client) for number in range(12)))
        assert len(set(together)) == 12
        noise.wait_until_idle()
        assert await ask(3, client) == together[3]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_engine_at_once(
    noise: LiveServer, stream: bool
) -> None:
    async with client_of(noise) as client:
        if stream:
            reply = await client.chat.completions.create(
                model="noise", messages=HI, temperature=0, max_tokens=900, stream=True, n=3
            )
            async for _ in reply:
                break
            await reply.close()
        else:
            asking = asyncio.create_task(
                client.chat.completions.create(
                    model="noise", messages=HI, temperature=0, max_tokens=900
                )
            )
            await asyncio.sleep(0.3)
            asking.cancel()
        await asyncio.to_thread(noise.wait_until_idle)
        assert noise.service.loaded_model().worker.gauges.num_used_blocks == 0
        assert b'status="500"' not in noise.service.metrics.exposition()
        after = await client.chat.completions.create(model="noise", messages=HI, max_tokens=3)
        assert after.usage is not None


async def test_a_client_that_leaves_before_its_answer_begins_is_forgotten(
    noise: LiveServer,
) -> None:
    body = b'{"messages": [{"role": "user", "content": "hi"}], "stream": true, "temperature": 0}'
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json\r\n"
        f"Authorization: Bearer {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = httpx.URL(noise.url)
    for _ in range(10):
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(head.encode() + body)
    await asyncio.sleep(0.2)
    await asyncio.to_thread(noise.wait_until_idle)
    assert noise.service.loaded_model().worker.gauges.num_used_blocks == 0


async def test_clients_that_leave_at_random_leave_nothing_behind(noise: LiveServer) -> None:
    choose = random.Random(5)

    async def visit(number: int, client: httpx.AsyncClient) -> None:
        stream = choose.random() < 0.5
        patience_s = choose.uniform(0.01, 0.6)
        body = {"messages": [{"role": "user", "content": "x" * number}], "max_tokens": 30}
        try:
            async with asyncio.timeout(patience_s):
                url = f"{noise.base_url}/chat/completions"
                await client.post(url, json=body | {"stream": stream, "n": 1 + number % 3})
        except TimeoutError:
            return

    async with httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
        await asyncio.gather(*(visit(number, client) for number in range(40)))
    await asyncio.to_thread(noise.wait_until_idle)
    gauges = noise.service.loaded_model().worker.gauges
    assert (gauges.num_running, gauges.num_waiting, gauges.num_used_blocks) == (0, 0, 0)
    assert noise.service.activity.num_active == 0


async def test_beyond_the_queue_clients_are_told_when_to_come_back(checkpoint: Path) -> None:
    service = loaded_service(checkpoint, name="noise", max_queue=2)
    with serving(service) as live:
        async with client_of(live) as client, httpx.AsyncClient(headers=HEADERS) as http:
            num_places = 8 + 2
            streams = [
                await client.chat.completions.create(
                    model="noise", messages=HI, max_tokens=900, temperature=0, stream=True
                )
                for _ in range(num_places)
            ]
            refused = await http.post(f"{live.base_url}/chat/completions", json={"messages": HI})
            assert refused.status_code == 503
            assert refused.headers["retry-after"].isdecimal()
            assert refused.json()["error"]["code"] == "server_overloaded"
            health = (await http.get(f"{live.url}/health")).json()
            assert health["running"] + health["waiting"] == num_places
            for stream in streams:
                await stream.close()
            await asyncio.to_thread(live.wait_until_idle)
            after = await client.chat.completions.create(model="noise", messages=HI, max_tokens=1)
            assert after.choices


async def test_those_that_wait_see_that_they_are_in_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnj_agent.runtime.server.streaming.HEARTBEAT_S", 0.02)
    with serving(loaded_service(checkpoint, name="noise")) as live:
        async with client_of(live) as client, httpx.AsyncClient(headers=HEADERS) as http:
            busy = [
                asyncio.create_task(
                    client.chat.completions.create(
                        model="noise", messages=HI, max_tokens=900, temperature=0, n=8
                    )
                )
                for _ in range(2)
            ]
            await asyncio.sleep(0.3)
            body = {"messages": HI, "max_tokens": 1, "stream": True}
            url = f"{live.base_url}/chat/completions"
            async with http.stream("POST", url, json=body, timeout=60) as reply:
                lines = aiter(reply.aiter_lines())
                seen = [await anext(lines) for _ in range(5)]
            assert seen.count(": queued") >= 2
            for task in busy:
                task.cancel()
