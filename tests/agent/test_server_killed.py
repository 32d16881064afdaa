"""The bundled server dies under a run: it is reported and started again, and nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rnj_agent.agent.assembly import make_loop, open_model
from rnj_agent.agent.config import Config, ModelSettings
from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.agent.events import Event, MessageFinished, Notice, RunFinished, TextDelta
from rnj_agent.agent.local_server import list_servers, stop_server
from rnj_agent.agent.messages import AssistantMessage, UserMessage
from rnj_agent.agent.model import Chunk, Model, ModelRequest, RestartChunk, TextChunk
from rnj_agent.agent.session import SessionWriter, read_events
from rnj_agent.agent.task import Task
from rnj_agent.sandbox.fake import FakeSandbox
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

TASK = Task(session_id="s", text="hi", system_prompt="be brief", user_message="hi", cwd="/repo")
SESSION = "20260102-030405-abcdef"
REQUEST = ModelRequest(messages=(UserMessage(content="hi"),), tools=(), max_tokens=120)
LONG_REQUEST = replace(REQUEST, max_tokens=4000)
"""Too long to be written before the reader comes to where the server is killed."""
SHORT_REQUEST = replace(REQUEST, max_tokens=8)


@pytest.fixture
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Config, None]:
    """For a bundled model that writes noise without end; its servers are stopped afterwards."""
    monkeypatch.setenv("RNJ_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    model = write_noise_checkpoint(tmp_path / "noise.gguf", context=8192)
    yield Config(model=ModelSettings(name=str(model), max_tokens=120, context_window=8192))
    await stop_server(str(model))


def kill_server() -> int:
    (record,) = list_servers()
    os.kill(record.pid, signal.SIGKILL)
    while record.is_alive:
        time.sleep(0.01)
    return record.pid


async def collect(chunks: AsyncIterator[Chunk], then: Callable[[Chunk], None]) -> list[Chunk]:
    seen: list[Chunk] = []
    async for chunk in chunks:
        seen.append(chunk)
        then(chunk)
    return seen


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


async def whole_reply(model: Model) -> str:
    return text_of(await collect(model.stream(REQUEST), lambda _: None))


def killing_at(*num_texts: int) -> Callable[[Chunk], None]:
    """Kills each server that answers, one after the other, when so many texts of its have come."""
    lives = iter(num_texts)
    num_left = next(lives)

    def watch(chunk: Chunk) -> None:
        nonlocal num_left
        if isinstance(chunk, RestartChunk):
            num_left = next(lives, 0)
        elif isinstance(chunk, TextChunk):
            num_left -= 1  # below zero: what a dead server's connection still held
            if num_left == 0:
                kill_server()

    return watch


def is_log_of_a_loaded_server(path: Path) -> bool:
    return "ready: " in path.read_text()


async def test_a_reply_that_was_cut_begins_anew_and_is_the_same(config: Config) -> None:
    async with open_model(config, say=print) as model:
        expected = await whole_reply(model)
        chunks = await collect(model.stream(REQUEST), killing_at(2))
    (restart,) = [chunk for chunk in chunks if isinstance(chunk, RestartChunk)]
    index = chunks.index(restart)
    assert expected.startswith(text_of(chunks[:index]))
    assert text_of(chunks[index:]) == expected
    assert "in the middle of a reply" in restart.reason


async def test_a_run_outlives_its_server(config: Config, tmp_path: Path) -> None:
    recorder = SessionWriter.create(SESSION, tmp_path)
    events: list[Event] = []
    killed = 0
    async with open_model(config, say=print) as model, FakeSandbox() as sandbox:
        loop = make_loop(config, model=model, sandbox=sandbox, recorder=recorder)
        async for event in loop.run(TASK):
            events.append(event)
            if isinstance(event, TextDelta) and not killed:
                killed = kill_server()
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.reason, finished.num_steps) == ("answered", 1)
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert f"(process {killed})" in notice.text
    replies = [
        event.message
        for event in events
        if isinstance(event, MessageFinished) and isinstance(event.message, AssistantMessage)
    ]
    after = events[events.index(notice) :]
    shown = "".join(event.text for event in after if isinstance(event, TextDelta))
    assert [reply.content for reply in replies] == [shown] == [finished.answer]
    assert list(read_events(tmp_path / SESSION)) == events


async def test_a_server_that_ended_between_two_steps_is_no_fault_of_the_request(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnj_agent.agent.local_model.MAX_RESTARTS", 0)
    async with open_model(config, say=print) as model:
        for _ in range(2):
            kill_server()
            chunks = await collect(model.stream(SHORT_REQUEST), lambda _: None)
            assert isinstance(chunks[0], RestartChunk)
            assert "since the last step" in chunks[0].reason
            assert text_of(chunks)
        kill_server()
        assert await model.count_tokens(REQUEST.messages, ()) > 0


async def test_a_request_that_kills_its_server_twice_is_given_up(config: Config) -> None:
    async with open_model(config, say=print) as model:
        with pytest.raises(ModelUnavailableError, match="twice at the same request") as caught:
            await collect(model.stream(LONG_REQUEST), killing_at(2, 4))
    log = caught.value.hint.removeprefix("its log: ").partition(";")[0]
    assert is_log_of_a_loaded_server(Path(log))


async def test_servers_that_die_again_and_again_end_the_run(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnj_agent.agent.local_model.MAX_RESTARTS", 0)
    async with open_model(config, say=print) as model:
        with pytest.raises(ModelUnavailableError, match="in 1 of"):
            await collect(model.stream(REQUEST), killing_at(2))


async def test_a_server_that_does_not_start_again_says_why(config: Config) -> None:
    async with open_model(config, say=print) as model:
        kill = killing_at(1)

        def kill_and_break(chunk: Chunk) -> None:
            kill(chunk)
            Path(config.model.name).write_bytes(b"GGUF")

        with pytest.raises(ModelUnavailableError, match="last words"):
            await collect(model.stream(REQUEST), kill_and_break)
