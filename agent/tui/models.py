"""What the app may know of models: which there are, and how one is fetched. Who knows it for real
is the command line, which hands it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config

OnFetched: TypeAlias = Callable[[int], None]
"""Told how many bytes are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOffer:
    endpoint: str
    """A named endpoint, or a base URL."""
    name: str
    """As the server knows it; empty: the only one that it has."""
    about: str = ""
    """Size, state, what it is."""
    missing_bytes: int = 0
    """Of a download that has to come first; 0: it is here, or elsewhere."""

    def __str__(self) -> str:
        return f"{self.name or 'its model':24} {self.endpoint:12} {self.about}"


class Models(Protocol):
    """The models within reach."""

    def bundled(self) -> Sequence[ModelOffer]:
        """Those that the bundled runtime can serve. Blocks for a moment."""
        ...

    async def served(self, urls: Sequence[str] = ()) -> Sequence[ModelOffer]:
        """What servers list: those at ``urls``, or those on this machine's usual ports."""
        ...

    def missing(self, config: Config) -> ModelOffer | None:
        """The configured model, where it has to be fetched first. Blocks for a moment."""
        ...

    def facts(self) -> Sequence[str]:
        """What this machine can do, in a few lines. Blocks for seconds."""
        ...

    async def fetch(self, name: str, on_fetched: OnFetched) -> None:
        """Fetch a model of the catalogue; cancelled, what has arrived is kept for the next time.

        Raises:
            RnjError: it cannot be fetched.
        """
        ...
