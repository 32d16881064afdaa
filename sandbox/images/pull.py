"""Pull an image from its registry: progress in bytes, tried again where that may help.

What is final (no such image, no rights) ends at once. A registry that stays away and an engine's
full disk have errors of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rnj_agent.sandbox.engine import connect, streams_closed
from rnj_agent.sandbox.errors import (
    DiskFullError,
    ImageMissingError,
    SandboxError,
    SandboxUnavailableError,
)

if TYPE_CHECKING:
    from docker import DockerClient

RETRY_DELAYS_S: Final = (2.0, 8.0, 30.0, 60.0)
STALL_TIMEOUT_S: Final = 300
"""Nothing arrives for so long: the try has failed."""
_FINAL: Final = ("manifest unknown", "not found", "access denied", "does not exist", "unauthorized")
_DISK_FULL: Final = "no space left on device"

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called often, with bytes so far and bytes in all, as far as the engine knows them by then."""
OnRetry: TypeAlias = Callable[[str, float], None]
"""Called with what went wrong and the seconds until the next try."""


class PullStoppedError(SandboxError):
    """It was stopped from outside."""


class _RegistryError(Exception):
    """The registry does not answer, or not now."""


@dataclass(slots=True)
class _Layers:
    """What the engine said of each layer."""

    done: dict[str, int] = field(default_factory=dict[str, int])
    total: dict[str, int] = field(default_factory=dict[str, int])

    def update(self, event: Mapping[str, Any]) -> bool:
        layer = str(event.get("id", ""))
        detail = event.get("progressDetail") or {}
        match event.get("status"):
            case "Downloading" if detail.get("total"):
                self.total[layer] = int(detail["total"])
                self.done[layer] = int(detail.get("current", 0))
                return True
            case "Download complete":
                self.done[layer] = self.total.get(layer, 0)
                return True
            case _:
                return False


def pull_image(
    name: str,
    *,
    on_progress: OnProgress,
    on_retry: OnRetry,
    stop: threading.Event,
    delays_s: tuple[float, ...] = RETRY_DELAYS_S,
) -> None:
    """Pull ``name``, in the caller's thread.

    Args:
        name: with its registry and tag.
        on_progress: see its type.
        on_retry: see its type.
        stop: set by another thread, it ends the work soon.
        delays_s: before each further try.

    Raises:
        ImageMissingError: there is no such image, it may not be had, or no registry answers.
        DiskFullError: the engine's disk is full.
        SandboxUnavailableError: no engine answers.
        PullStoppedError: ``stop`` was set.
    """
    for delay_s in (*delays_s, None):
        try:
            _pull(name, on_progress, stop)
            return
        except _RegistryError as exc:
            if delay_s is None:
                raise ImageMissingError(
                    f"the image {name} could not be pulled in {len(delays_s) + 1} tries: {exc}",
                    hint=f"docker pull {name}",
                ) from exc
            on_retry(str(exc), delay_s)
            if stop.wait(delay_s):
                raise PullStoppedError(f"pulling {name} was stopped") from None


def _pull(name: str, on_progress: OnProgress, stop: threading.Event) -> None:
    import requests
    from docker.errors import APIError

    client = connect(timeout_s=STALL_TIMEOUT_S)
    try:
        with streams_closed(client):
            _follow(client, name, on_progress, stop)
    except APIError as exc:
        raise _failure(name, str(exc.explanation or exc)) from exc
    except requests.RequestException as exc:
        if _is_alive(client):
            raise _RegistryError(str(exc)) from exc
        raise SandboxUnavailableError(f"the Docker engine went away: {exc}") from exc
    finally:
        client.close()


def _follow(
    client: DockerClient, name: str, on_progress: OnProgress, stop: threading.Event
) -> None:
    layers = _Layers()
    for event in client.api.pull(name, stream=True, decode=True):
        if stop.is_set():
            raise PullStoppedError(f"pulling {name} was stopped")
        if error := event.get("error"):
            raise _failure(name, str(error))
        if layers.update(event):
            on_progress(sum(layers.done.values()), sum(layers.total.values()))


def _failure(name: str, said: str) -> Exception:
    if disk_is_full(said):
        return DiskFullError(f"no room for the image {name}: {said}", hint="docker system df")
    if any(words in said.lower() for words in _FINAL):
        return ImageMissingError(f"the registry does not give the image {name}: {said}")
    return _RegistryError(said)


def disk_is_full(said: str) -> bool:
    """Whether that is what an engine's message is about."""
    return _DISK_FULL in said.lower()


def _is_alive(client: DockerClient) -> bool:
    import requests
    from docker.errors import DockerException

    try:
        return client.ping()
    except (DockerException, requests.RequestException):
        return False
