"""What is known of model families: data files beside this one, chosen by the model's name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.events import Protocol

GENERIC = "generic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    name: str
    prefixes: tuple[str, ...]
    """Of model names, in lower case and without their owner."""
    protocol: Protocol
    harness: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of ``Harness`` that differ from its defaults."""


def profile_for(model: str, *, name: str = "") -> Profile:
    """The profile of this name, else that of the longest prefix of the model's name.

    Raises:
        ConfigError: no profile has that name.
    """
    profiles = _profiles()
    if name:
        if name not in profiles:
            raise ConfigError(f"There is no profile {name!r}; there are {', '.join(profiles)}.")
        return profiles[name]
    base = model.rsplit("/", 1)[-1].lower()
    fitting = [
        (len(prefix), profile)
        for profile in profiles.values()
        for prefix in profile.prefixes
        if base.startswith(prefix)
    ]
    return max(fitting, key=lambda pair: pair[0], default=(0, profiles[GENERIC]))[1]


@cache
def _profiles() -> Mapping[str, Profile]:
    found = [
        _read(entry.name.removesuffix(".toml"), entry.read_text(encoding="utf-8"))
        for entry in files("rnj_agent.agent.profiles").iterdir()
        if entry.name.endswith(".toml")
    ]
    return {profile.name: profile for profile in sorted(found, key=lambda each: each.name)}


def _read(name: str, text: str) -> Profile:
    data = tomllib.loads(text)
    return Profile(
        name=name,
        prefixes=tuple(data["prefixes"]),
        protocol=data["protocol"],
        harness=data.get("harness", {}),
    )
