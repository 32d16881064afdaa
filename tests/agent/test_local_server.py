"""One server per model and context: found, shared, swept, stopped. Real child processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import pytest

from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.agent.local_server import (
    LocalEndpoint,
    ensure_server,
    list_servers,
    stop_server,
)
from rnj_agent.runtime.server.ready_file import ServerRecord, read_record, write_record
from tests.runtime.tiny_checkpoint import write_noise_checkpoint


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Path, None]:
    """An RNJ_HOME of its own; whatever runs in it at the end is stopped."""
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    for record in list_servers():
        await stop_server(record.model)


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(write_noise_checkpoint(tmp_path / "noise.gguf"))


async def ensure(model: str, *, context: int | None = 512, **options: float) -> LocalEndpoint:
    return await ensure_server(model, context=context, progress=print, **options)


def client_of(endpoint: LocalEndpoint) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0, timeout=20
    )


async def ask(endpoint: LocalEndpoint, *, max_tokens: int = 5) -> str:
    async with client_of(endpoint) as client:
        reply = await client.chat.completions.create(
            model=endpoint.model,
            messages=[{"role": "user", "content": "hi"}],
            max_tokens=max_tokens,
            temperature=0,
        )
    return reply.choices[0].message.content or ""


async def test_a_server_is_started_shared_listed_and_stopped(home: Path, model: str) -> None:
    lines: list[str] = []
    first = await ensure_server(model, context=512, progress=lines.append)
    assert lines
    assert lines[0].startswith("Starting")
    assert await ask(first)
    second = await ensure_server(model, context=512, progress=lines.append)
    assert second == first

    (record,) = list_servers()
    assert (record.pid, record.model, record.context) == (first.pid, model, 512)
    (path,) = (home / "servers").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.getsid(first.pid) == first.pid, "it must survive this process and its terminal"

    assert await stop_server(model) == 1
    assert list_servers() == []
    assert not path.exists()


async def test_another_context_is_another_server(home: Path, model: str) -> None:
    small, large = await asyncio.gather(ensure(model, context=300), ensure(model, context=600))
    assert small.pid != large.pid
    assert small.api_key != large.api_key
    assert await stop_server(model) == 2


async def test_agents_that_start_at_once_share_one_server(home: Path, model: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from rnj_agent.agent.local_server import ensure_server\n"
        "endpoint = asyncio.run(ensure_server(sys.argv[1], context=512, progress=lambda _: None))\n"
        "print(endpoint.pid)\n"
    )
    agents = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, model, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = await asyncio.gather(*(agent.communicate() for agent in agents))
    assert len({output for output, _ in outputs}) == 1
    (record,) = list_servers()
    assert int(outputs[0][0]) == record.pid


async def test_kill_9_in_mid_answer_then_a_new_server(home: Path, model: str) -> None:
    first = await ensure(model)
    async with client_of(first) as client:
        stream = await client.chat.completions.create(
            model=first.model,
            messages=[{"role": "user", "content": "hi"}],
            max_tokens=400,
            stream=True,
        )
        await anext(stream)
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(openai.APIConnectionError):
            [chunk async for chunk in stream]
    second = await ensure(model)
    assert second.pid != first.pid
    assert await ask(second)
    assert [record.pid for record in list_servers()] == [second.pid]


async def test_a_pid_that_now_belongs_to_another_program_is_left_alone(
    home: Path, model: str
) -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    stale = ServerRecord(
        pid=stranger.pid, start_time=12345, port=1, api_key="k", model=model, context=512
    )
    path = home / "servers" / "stale.json"
    write_record(path, stale)
    assert list_servers() == []
    assert not path.exists()
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_a_record_that_is_no_record_is_swept(home: Path, model: str) -> None:
    await ensure(model)
    (path,) = (home / "servers").glob("*.json")
    await stop_server(model)
    for garbage in ("", "{", "[]", json.dumps({"pid": 1}), json.dumps({"pid": "x"})):
        path.write_text(garbage)
        assert read_record(path) is None
    assert await ask(await ensure(model))


async def test_a_server_that_does_not_answer_is_replaced(
    home: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnj_agent.agent.local_server.ANSWER_TIMEOUT_S", 0.5)
    monkeypatch.setattr("rnj_agent.agent.local_server.STOP_TIMEOUT_S", 1.0)
    first = await ensure(model)
    os.kill(first.pid, signal.SIGSTOP)
    second = await ensure(model)
    assert second.pid != first.pid
    assert await ask(second)


async def test_an_idle_server_exits_and_removes_its_record(home: Path, model: str) -> None:
    endpoint = await ensure(model, idle_exit_s=0.5)
    for _ in range(100):
        if not list((home / "servers").glob("*.json")):
            break
        await asyncio.sleep(0.1)
    assert list_servers() == []
    assert await ask(await ensure(model))
    assert (await ensure(model)).pid != endpoint.pid


async def test_broken_weights_are_reported_with_the_servers_last_words(
    home: Path, tmp_path: Path
) -> None:
    whole = write_noise_checkpoint(tmp_path / "whole.gguf").read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnavailableError, match="error: ") as caught:
        await ensure(str(broken))
    assert "rnj-agent serve" in caught.value.hint
    assert list_servers() == []


async def test_a_model_that_is_not_there_starts_no_process(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError):
        await ensure(str(tmp_path / "missing.gguf"))
    assert not (home / "logs").exists()


async def test_a_window_beyond_the_memory_is_refused_with_figures(
    home: Path, tmp_path: Path
) -> None:
    huge = write_noise_checkpoint(tmp_path / "huge.gguf", context=10**9)
    with pytest.raises(ModelUnavailableError, match=r"Not enough memory.*GiB"):
        await ensure(str(huge), context=10**9)


async def test_a_server_whose_starter_was_killed_is_found_by_the_next_agent(
    home: Path, model: str
) -> None:
    program = (
        "import asyncio, os, sys\n"
        "from rnj_agent.agent.local_server import ensure_server\n"
        "def die(line): os.kill(os.getpid(), 9)\n"
        "asyncio.run(ensure_server(sys.argv[1], context=512, progress=die))\n"
    ).replace("def die(line): ", "def die(line):\n    if line.startswith('Loading'): ")
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, model)
    await agent.wait()
    (left,) = list_servers()
    assert (await ensure(model)).pid == left.pid


def test_importing_it_imports_no_torch() -> None:
    program = "import sys, rnj_agent.agent.local_server; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
