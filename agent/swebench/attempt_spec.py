"""What an attempt is asked to be: plain data that can be sent to another machine."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from rnj_agent.agent.config import Config
from rnj_agent.agent.swebench.images.source import ImageSource
from rnj_agent.agent.swebench.instance import Instance

VARIED_TEMPERATURE: Final = 0.8
"""Of all attempts but the first, where the configuration asks for greedy decoding: a second greedy
attempt would only repeat the first."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSettings(_Settings):
    """How instances get their images; paths are of the machine that runs the attempt."""

    template: str = ""
    """Of the name to pull; empty: the row's own, else the registry's."""
    build: bool = False
    """Build here instead of pulling."""
    build_from: Path | None = None
    """A Dockerfile template; None: the one that ships."""
    repo_mirror: Path | None = None
    build_overrides: Path | None = None

    def open(self) -> ImageSource:
        """Raises: ConfigError: a template or file is not usable."""
        from rnj_agent.agent.swebench.images.built import BuiltImages
        from rnj_agent.agent.swebench.images.pulled import PulledImages

        if not self.build:
            return PulledImages(self.template)
        return BuiltImages(
            template=self.build_from, repo_mirror=self.repo_mirror, overrides=self.build_overrides
        )


class AttemptSpec(_Settings):
    """One run of the loop over an instance."""

    run_id: str
    instance: Instance
    attempt: int
    """From 1."""
    config: Config
    images: ImageSettings
    temperature: float
    seed: int | None
    """None: the server's own."""
    num_tries: int = 3
    """How often at most, where it ends for a reason that is ours."""
    is_checked: bool = False
    """Whether its patch is tried on a fresh copy, for the choice among attempts."""
    test_command: str = ""
    """Of the repository's own tests, to see then what the patch breaks; empty: not looked at."""

    @property
    def session_id(self) -> str:
        """Names its containers."""
        return f"{self.run_id}/{self.instance.instance_id}/{self.attempt}"


def seed_of(config: Config, instance_id: str, attempt: int) -> int | None:
    """The same for the same run, instance and attempt; None where decoding is greedy unseeded."""
    if attempt == 1:
        return config.model.seed
    base = config.model.seed or 0
    digest = hashlib.sha256(f"{base}\n{instance_id}\n{attempt}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


def temperature_of(config: Config, attempt: int) -> float:
    configured = config.model.temperature
    return VARIED_TEMPERATURE if attempt > 1 and configured == 0 else configured
