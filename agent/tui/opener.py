"""Where the app's sessions come from: a repository with its configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from rnj_agent.agent.config_layers import LoadedConfig
    from rnj_agent.agent.live.session import LiveSession, OnStatus
    from rnj_agent.agent.modes import Ask


_NEEDED_SOON: Final = ("rnj_agent.agent.live.session", "rnj_agent.agent.tui.draw.markdown")
"""Found imported when a session opens, and when its first reply is drawn."""


class Opener(Protocol):
    """Opens sessions in one repository."""

    @property
    def repository(self) -> Path: ...

    def open(
        self, name: str, ask: Ask, on_status: OnStatus
    ) -> AbstractAsyncContextManager[LiveSession]:
        """The saved session of this name, to go on with; without a name a new one.

        Raises:
            SessionError: no such session, or it is open elsewhere.
            ConfigError: the configuration cannot be used.
        """
        ...

    def use_model(self, endpoint: str, name: str) -> None:
        """Sessions that open from now on have this model; without a name the server's only one."""
        ...


@dataclass(slots=True, kw_only=True)
class RepositoryOpener:
    """The real one. The configuration is read, and what a session needs is imported, when one is
    opened: in a thread, since keys come meanwhile.
    """

    repository: Path
    flags: Mapping[str, object]
    """Of the command line, by config key."""
    on_loaded: Callable[[LoadedConfig], None]
    """Told of the configuration each time, before the session opens."""

    @asynccontextmanager
    async def open(self, name: str, ask: Ask, on_status: OnStatus) -> AsyncGenerator[LiveSession]:
        loaded = await asyncio.to_thread(_load, self.repository, self.flags)
        self.on_loaded(loaded)
        from rnj_agent.agent.live.session import LiveSession

        config = loaded.config
        if name:
            session = LiveSession.resume(config, name, ask=ask, on_status=on_status)
        else:
            session = LiveSession.open(config, self.repository, ask=ask, on_status=on_status)
        async with session:
            yield session

    def use_model(self, endpoint: str, name: str) -> None:
        """See ``Opener.use_model``."""
        self.flags = {**self.flags, "model.endpoint": endpoint, "model.name": name}


def _load(repository: Path, flags: Mapping[str, object]) -> LoadedConfig:
    for name in _NEEDED_SOON:
        import_module(name)
    from rnj_agent.agent.config_layers import load_config

    return load_config(directory=repository, flags=flags)
