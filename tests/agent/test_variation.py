"""How attempts at one task differ, and what they share."""

from __future__ import annotations

from rnj_agent.agent.config import Config, ModelSettings
from rnj_agent.agent.harness import Harness, settled_config
from rnj_agent.agent.messages import UserMessage
from rnj_agent.agent.model import ModelRequest
from rnj_agent.agent.scripted_model import ScriptedModel
from rnj_agent.agent.variation import VariedModel, varied

_REQUEST = ModelRequest(messages=[UserMessage(content="x")], tools=[], max_tokens=8)


def test_the_first_attempt_is_as_configured() -> None:
    config = Config(model=ModelSettings(temperature=0.0, seed=7))
    assert varied(config, "task", 1) == config


def test_the_others_differ_in_seed_and_are_not_greedy() -> None:
    attempts = [varied(Config(), "task", number).model for number in range(2, 17)]
    assert len({settings.seed for settings in attempts}) == 15
    assert {settings.temperature for settings in attempts} == {Harness().retry_temperature}
    assert varied(Config(), "task", 2) == varied(Config(), "task", 2)
    assert varied(Config(), "task", 2).model.seed != varied(Config(), "other", 2).model.seed


def test_the_others_are_no_hotter_than_the_models_profile_says() -> None:
    config = settled_config(Config(), "rnj-1-instruct")
    assert varied(config, "task", 1).model.temperature == 0.0
    assert varied(config, "task", 2).model.temperature == 0.6


def test_a_configured_temperature_stays() -> None:
    config = Config(model=ModelSettings(temperature=0.2))
    assert varied(config, "task", 2).model.temperature == 0.2


async def test_what_the_loop_asks_for_comes_first() -> None:
    shared = ScriptedModel(["a", "b"])
    model = VariedModel(shared, temperature=0.8, seed=5)
    async for _ in model.stream(_REQUEST):
        pass
    asked = ModelRequest(
        messages=_REQUEST.messages, tools=[], max_tokens=8, temperature=0.3, seed=9
    )
    async for _ in model.stream(asked):
        pass
    sampling = [(request.temperature, request.seed) for request in shared.requests]
    assert sampling == [(0.8, 5), (0.3, 9)]
