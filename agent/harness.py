"""How a run is done with one model, settled: the profile's word, and the person's over it."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.config import Config, ModelSettings
from rnj_agent.agent.events import Protocol
from rnj_agent.agent.profiles import profile_for
from rnj_agent.prompts import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """As ``config.HarnessSettings``, with nothing left open."""

    first_look: bool = True
    repo_map: bool = True
    guided_calls: bool = True
    repair_calls: bool = True
    tolerant_edits: bool = True
    syntax_check: bool = True
    tests_after_change: bool = True
    find_tests: bool = True
    review: bool = True
    nudges: bool = True
    fresh_starts: int = 2
    steps_per_start: int | None = None
    tries_per_start: int | None = None
    retry_temperature: float = 0.7
    retry_notes: bool = True
    aging: bool = True
    form: Form = "own"
    """Of the ``text`` protocol; only a profile says it."""


def harness_for(config: Config, model: str) -> Harness:
    """What holds for a run with this model.

    Args:
        config: what the person set.
        model: its name, as its server knows it.

    Raises:
        ConfigError: there is no profile of the name that the configuration gives.
    """
    profile = profile_for(model, name=config.harness.profile)
    told = {**profile.harness, **config.harness.model_dump(exclude_none=True, exclude={"profile"})}
    form = profile.form if protocol_for(config, model) == "text" else "own"
    return Harness(**told, form=form)


def protocol_for(config: Config, model: str) -> Protocol:
    """``auto`` goes by the model's profile.

    Raises:
        ConfigError: as from ``harness_for``.
    """
    if config.model.protocol == "auto":
        return profile_for(model, name=config.harness.profile).protocol
    return config.model.protocol


def settled_model(settings: ModelSettings, model: str, *, profile: str = "") -> ModelSettings:
    """With what the person left open about its replies as the model's profile has it.

    Args:
        settings: what the person set.
        model: its name, as its server knows it.
        profile: by name; empty: by the model's.

    Raises:
        ConfigError: there is no profile of that name.
    """
    chosen = profile_for(model, name=profile)
    told = settings.model_dump(include={"temperature", "top_p", "max_tokens"}, exclude_none=True)
    said = {
        "temperature": chosen.temperature,
        "top_p": chosen.top_p,
        "max_tokens": chosen.max_reply_tokens,
    }
    return settings.model_copy(update=said | told)


def settled_config(config: Config, model: str) -> Config:
    """With what the person left open about how replies are drawn, also of further attempts.

    Raises:
        ConfigError: as from ``harness_for``.
    """
    again = harness_for(config, model).retry_temperature
    return config.model_copy(
        update={
            "model": settled_model(config.model, model, profile=config.harness.profile),
            "harness": config.harness.model_copy(update={"retry_temperature": again}),
        }
    )
