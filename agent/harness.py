"""What a run does to help its model, settled: the profile's word, and the person's over it."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.config import Config
from rnj_agent.agent.profiles import profile_for


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
    retry_temperature: float = 0.7
    aging: bool = True


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
    return Harness(**told)
