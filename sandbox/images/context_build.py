"""Build an image from a context that holds its Dockerfile, with the host's network.

The host's, since a mirror of the package index or a proxy often listens on this machine alone.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, Final

from rnj_agent.sandbox.docker import check_image
from rnj_agent.sandbox.engine import connect, streams_closed
from rnj_agent.sandbox.errors import (
    DiskFullError,
    ImageMissingError,
    SandboxError,
    SandboxUnavailableError,
)
from rnj_agent.sandbox.images.pull import disk_is_full

TIMEOUT_S: Final = 1800
"""Of one step that says nothing."""
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY")
"""The engine knows these arguments by itself and leaves them out of the image's history."""
_NUM_LAST_LINES: Final = 12
_CHATTER: Final = (" ---> ", "Removing intermediate container ")


class BuildStoppedError(SandboxError):
    """It was stopped from outside."""


def has_image(name: str) -> bool:
    """Whether the engine has it.

    Raises:
        SandboxUnavailableError: no engine answers.
    """
    import requests

    client = connect()
    try:
        check_image(client, name)
    except ImageMissingError:
        return False
    except requests.RequestException as exc:
        raise SandboxUnavailableError(f"the Docker engine went away: {exc}") from exc
    finally:
        client.close()
    return True


def build_from_context(
    name: str,
    context: IO[bytes],
    *,
    labels: Mapping[str, str],
    progress: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Build ``name``, in the caller's thread.

    Args:
        name: with its tag.
        context: a tar stream with a ``Dockerfile``.
        labels: of the image.
        progress: receives each line of the engine that tells something.
        stop: set by another thread, it ends the work soon.

    Raises:
        ImageMissingError: a step failed; the message ends with its last lines.
        DiskFullError: the engine's disk is full.
        SandboxUnavailableError: no engine answers.
        BuildStoppedError: ``stop`` was set.
    """
    import requests
    from docker.errors import APIError

    client = connect(timeout_s=TIMEOUT_S)
    try:
        with streams_closed(client):
            events = client.api.build(
                fileobj=context,
                custom_context=True,
                tag=name,
                labels=dict(labels),
                buildargs=_proxies(),
                network_mode="host",
                rm=True,
                forcerm=True,
                decode=True,
            )
            _follow(name, events, progress, stop)
    except APIError as exc:
        raise _failure(name, str(exc.explanation or exc), ()) from exc
    except requests.RequestException as exc:
        raise SandboxUnavailableError(f"the Docker engine went away: {exc}") from exc
    finally:
        client.close()


def _follow(
    name: str,
    events: Iterable[Mapping[str, Any]],
    progress: Callable[[str], None],
    stop: threading.Event,
) -> None:
    last: deque[str] = deque(maxlen=_NUM_LAST_LINES)
    for event in events:
        if stop.is_set():
            raise BuildStoppedError(f"building {name} was stopped")
        if error := event.get("error"):
            raise _failure(name, str(error), last)
        for line in str(event.get("stream", "")).splitlines():
            if line.strip() and not line.startswith(_CHATTER):
                last.append(line)
                progress(line)


def _failure(name: str, said: str, last: Iterable[str]) -> SandboxError:
    lines = "\n  ".join((said, *last))
    if disk_is_full(lines):
        return DiskFullError(f"no room to build the image {name}: {said}", hint="docker system df")
    return ImageMissingError(f"the image {name} could not be built: {lines}")


def _proxies() -> dict[str, str]:
    names = [*_PROXIES, *(name.lower() for name in _PROXIES)]
    return {name: os.environ[name] for name in names if os.environ.get(name)}
