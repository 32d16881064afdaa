"""Where requests go: a named endpoint or a URL, and the key that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from rnj_agent.agent.config import Config
from rnj_agent.agent.errors import ConfigError, ModelRequestError
from rnj_agent.agent.presets import BUNDLED, PRESETS, Preset

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedEndpoint:
    """Where requests go."""

    name: str
    """Of the named endpoint, or the URL itself."""
    base_url: str
    api_key_env: str
    is_bundled: bool

    @property
    def preset(self) -> Preset | None:
        """What is known about servers of this kind."""
        return PRESETS.get(self.name)


def resolve_endpoint(config: Config) -> ResolvedEndpoint:
    """Look ``model.endpoint`` up among the named endpoints, or take it as a base URL.

    Raises:
        ConfigError: it is neither.
    """
    wanted = config.model.endpoint
    if wanted in config.endpoints:
        found = config.endpoints[wanted]
        return ResolvedEndpoint(
            name=wanted,
            base_url=found.base_url.rstrip("/"),
            api_key_env=found.api_key_env,
            is_bundled=wanted == BUNDLED and not found.base_url,
        )
    if wanted.startswith(("http://", "https://")):
        return ResolvedEndpoint(
            name=wanted, base_url=wanted.rstrip("/"), api_key_env="RNJ_API_KEY", is_bundled=False
        )
    raise ConfigError(
        f"There is no endpoint named '{wanted}'.",
        hint=f"known: {', '.join(config.endpoints)}; or give a base URL such as "
        "http://127.0.0.1:8000/v1",
    )


def api_key_for(endpoint: ResolvedEndpoint, environ: Mapping[str, str] | None = None) -> str | None:
    """The key from the environment; None where there is none and the server may need none.

    Raises:
        ModelRequestError: a public endpoint without its key.
    """
    environ = os.environ if environ is None else environ
    name = endpoint.api_key_env
    key = environ.get(name) if name else None
    if not key and name and endpoint.preset and not is_loopback(endpoint.base_url):
        raise ModelRequestError(
            f"{endpoint.preset.title} needs a key, and {name} is not set.",
            hint=f"export {name}=…",
        )
    return key or None


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
