"""Images pulled from a registry, with retries."""

from __future__ import annotations

from typing import Final

from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.instance import Instance

DEFAULT_TEMPLATE: Final = "docker.io/swebench/sweb.eval.x86_64.{id_}:latest"


class PulledImages:
    """Implements ``ImageSource``.

    Args:
        template: of the image's name, over the instance's fields and ``id_`` (its id as the
            registry has it); empty: the row's ``image``, else ``DEFAULT_TEMPLATE``.

    Raises:
        ConfigError: the template names a field that there is not.
    """

    def __init__(self, template: str = "") -> None:
        self._template = template

    async def ensure(self, instance: Instance, say: Say) -> str:
        raise NotImplementedError
