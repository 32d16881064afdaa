"""What an attempt is asked to be: plain data that can be sent to another machine."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rnj_agent.agent.config import Config
from rnj_agent.agent.swebench.images.source import ImageSource
from rnj_agent.agent.swebench.instance import Instance


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
