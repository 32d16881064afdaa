"""A run's parts from configuration: every configured bound reaches the part that holds it."""

from __future__ import annotations

import io

import pytest

from rnj_agent.agent.assembly import (
    bundled_model_name,
    limits_from,
    make_loop,
    open_model,
)
from rnj_agent.agent.config import Config, LimitSettings, ModelSettings
from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.follow import follow
from rnj_agent.agent.harness import protocol_for
from rnj_agent.agent.render import JsonRenderer
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.scripted_server import ScriptedServer, json_reply, text_reply
from rnj_agent.agent.task import Task
from rnj_agent.agent.workspace import NoWorkspace
from rnj_agent.sandbox.fake import FakeSandbox

TASK = Task(session_id="s", text="hi", system_prompt="be brief", user_message="hi", cwd="/repo")


def test_limits_reach_the_loop() -> None:
    limits = limits_from(
        Config(
            model=ModelSettings(max_tokens=7),
            limits=LimitSettings(steps=1, time_s=2, tokens=3, format_errors=4, command_timeout_s=5),
        ),
        ScriptedModel([]),
    )
    assert (limits.max_steps, limits.max_wall_s, limits.max_tokens) == (1, 2, 3)
    assert (limits.max_format_errors, limits.command_timeout_s) == (4, 5)
    assert limits.max_reply_tokens == 7


def test_protocol_and_default_model() -> None:
    assert protocol_for(Config(), "scripted") == "tools"
    assert protocol_for(Config(model=ModelSettings(protocol="text")), "scripted") == "text"
    assert bundled_model_name(Config()) == "qwen2.5-coder-1.5b"
    assert bundled_model_name(Config(model=ModelSettings(name="x"))) == "x"


async def test_an_unknown_endpoint_is_a_config_error() -> None:
    config = Config(model=ModelSettings(endpoint="nowhere"))
    with pytest.raises(ConfigError):
        async with open_model(config, say=print):
            pass


class Silent(JsonRenderer):
    def __init__(self) -> None:
        super().__init__(io.StringIO())


async def test_a_run_over_http_from_configuration_to_its_end() -> None:
    replies = {
        "/v1/models": json_reply({"data": [{"id": "m"}]}),
        "/v1/chat/completions": text_reply("Hello there."),
    }
    notices: list[Notice] = []
    async with ScriptedServer(replies) as server:
        config = Config(model=ModelSettings(endpoint=server.base_url))
        async with open_model(config, say=notices.append) as model, FakeSandbox() as sandbox:
            loop = make_loop(config, model=model, sandbox=sandbox, workspace=NoWorkspace())
            finished = await follow(loop.run(TASK), Silent())
    assert (finished.reason, finished.answer) == ("answered", "Hello there.")
    assert "does not say its window" in notices[0].text


async def test_a_reader_that_leaves_ends_the_run() -> None:
    class Gone(Silent):
        def __call__(self, event: object) -> None:
            raise BrokenPipeError

    async with ScriptedServer(
        {
            "/v1/models": json_reply({"data": [{"id": "m", "max_model_len": 4096}]}),
            "/v1/chat/completions": text_reply("Hello there."),
        }
    ) as server:
        config = Config(model=ModelSettings(endpoint=server.base_url))
        async with open_model(config, say=print) as model, FakeSandbox() as sandbox:
            loop = make_loop(config, model=model, sandbox=sandbox)
            with pytest.raises(BrokenPipeError):
                await follow(loop.run(TASK), Gone())
