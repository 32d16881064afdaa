"""Images built here, from a Dockerfile template and a copy of the repository's history."""

from __future__ import annotations

from pathlib import Path

from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.instance import Instance


class BuiltImages:
    """Implements ``ImageSource``.

    Args:
        template: a Dockerfile in jinja2 over the instance; None: the one that ships.
        repo_mirror: a folder of bare clones; None: from the forge.
        overrides: a TOML file of what single repositories or instances need; None: nothing.

    Raises:
        ConfigError: one of the files cannot be read.
    """

    def __init__(
        self,
        *,
        template: Path | None = None,
        repo_mirror: Path | None = None,
        overrides: Path | None = None,
    ) -> None:
        self._template = template

    async def ensure(self, instance: Instance, say: Say) -> str:
        raise NotImplementedError
