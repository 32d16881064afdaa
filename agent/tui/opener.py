"""Where the app's sessions come from: a repository with its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.live.session import LiveSession, OnStatus
    from rnj_agent.agent.modes import Ask


class Opener(Protocol):
    """Opens sessions in one repository."""

    @property
    def repository(self) -> Path: ...

    def open(self, name: str, ask: Ask, on_status: OnStatus) -> LiveSession:
        """The saved session of this name, to go on with; without a name a new one.

        Raises:
            SessionError: no such session, or it is open elsewhere.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryOpener:
    """The real one. What a session needs is imported when one is opened."""

    config: Config
    repository: Path

    def open(self, name: str, ask: Ask, on_status: OnStatus) -> LiveSession:
        from rnj_agent.agent.live.session import LiveSession

        if name:
            return LiveSession.resume(self.config, name, ask=ask, on_status=on_status)
        return LiveSession.open(self.config, self.repository, ask=ask, on_status=on_status)
