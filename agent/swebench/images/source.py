"""The ImageSource protocol: an image of the instance, in the engine, whatever that takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.instance import Instance

Say: TypeAlias = Callable[[Notice], None]
"""Shows one line, in the event loop's thread. Quick; never raises."""


class ImageSource(Protocol):
    async def ensure(self, instance: Instance, say: Say) -> str:
        """Make sure that the engine has the instance's image: its name there.

        Any number of workers may ask for one image at once: it is pulled or built once. Cancelled,
        the work ends soon where no one else waits for it.

        Raises:
            ImageMissingError: it cannot be had: not found, or the build fails. Final.
            DiskFullError: the engine's disk is full.
            SandboxUnavailableError, SandboxLostError: no engine answers (any more).
        """
        ...
