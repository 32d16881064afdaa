"""Find a Docker engine that answers, and say in words why one does not.

The ``docker`` package is imported only once a socket has answered: a machine without an engine
never pays for it. Engines behind ssh or TLS are not supported, since commands need a plain
two-way stream.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from rnj_agent.sandbox.errors import SandboxUnavailableError

if TYPE_CHECKING:
    from docker import DockerClient
    from requests import Response

DEFAULT_SOCKET = Path("/var/run/docker.sock")
INSTALL_HINT = "sudo apt-get install -y docker.io && sudo systemctl start docker"
RIGHTS_HINT = 'sudo usermod -aG docker "$USER"    # then log out and in again'
CONNECT_TIMEOUT_S = 3.0
_T = TypeVar("_T")


def connect(*, timeout_s: int = 60) -> DockerClient:
    """A client for the first engine that answers.

    Raises:
        SandboxUnavailableError: none answers, or this user may not talk to it.
    """
    return _first_that_answers(lambda url: _client(url, timeout_s))


def reachable_url() -> str:
    """Where an engine listens, for programs that read ``DOCKER_HOST``.

    Raises:
        SandboxUnavailableError: none does, or this user may not talk to it.
    """
    return _first_that_answers(str)


def _first_that_answers(use: Callable[[str], _T]) -> _T:
    problems: list[SandboxUnavailableError] = []
    for url in engine_urls():
        try:
            _knock(url)
            return use(url)
        except SandboxUnavailableError as exc:
            problems.append(exc)
    if not problems:
        raise SandboxUnavailableError(
            f"no Docker engine: {DEFAULT_SOCKET} is not there", hint=INSTALL_HINT
        )
    raise problems[0]


@contextmanager
def streams_closed(client: DockerClient) -> Generator[None]:
    """Hang up in the end on answers that were not read to theirs, which ends the work behind them.

    The docker package leaves such connections to the garbage collector.
    """
    responses: list[Response] = []

    def keep(response: Response, *_args: object, **_kwargs: object) -> None:
        responses.append(response)

    client.api.hooks["response"].append(keep)
    try:
        yield
    finally:
        for response in responses:
            response.close()


def engine_urls() -> list[str]:
    """Where an engine may listen: DOCKER_HOST alone if set, else what exists on this machine."""
    if host := os.environ.get("DOCKER_HOST"):
        return [host]
    rootless = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent") / "docker.sock"
    local = [f"unix://{path}" for path in (DEFAULT_SOCKET, rootless) if path.exists()]
    return list(dict.fromkeys([*_context_url(), *local]))


def _context_url() -> list[str]:
    """The endpoint of the ``docker context`` in use, which the docker package does not read."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        config = json.loads((folder / "config.json").read_bytes())
        name = os.environ.get("DOCKER_CONTEXT") or config["currentContext"]
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = json.loads((folder / "contexts" / "meta" / digest / "meta.json").read_bytes())
        return [str(meta["Endpoints"]["docker"]["Host"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # no context is the usual case, and a broken one falls back to the local socket


def _knock(url: str) -> None:
    """Open and close a connection: it tells apart no engine, no rights, and no listener."""
    parts = urlsplit(url)
    if parts.scheme not in {"unix", "tcp", "http"} or os.environ.get("DOCKER_TLS_VERIFY"):
        raise SandboxUnavailableError(
            f"the Docker engine at {url} is reached through ssh or TLS, which is not supported",
            hint=f"unset DOCKER_HOST DOCKER_TLS_VERIFY    # and use {DEFAULT_SOCKET}",
        )
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(CONNECT_TIMEOUT_S)
                sock.connect(parts.path)
        else:
            address = (parts.hostname or "localhost", parts.port or 2375)
            socket.create_connection(address, CONNECT_TIMEOUT_S).close()
    except PermissionError as exc:
        raise SandboxUnavailableError(
            f"no rights on the Docker socket {parts.path}", hint=RIGHTS_HINT
        ) from exc
    except (OSError, ValueError) as exc:
        raise SandboxUnavailableError(
            f"no Docker engine answers at {url}: {getattr(exc, 'strerror', None) or exc}",
            hint=INSTALL_HINT,
        ) from exc


def _client(url: str, timeout_s: int) -> DockerClient:
    import requests
    from docker import DockerClient
    from docker.errors import DockerException

    try:
        return DockerClient(base_url=url, version="auto", timeout=timeout_s)
    except (DockerException, requests.RequestException) as exc:
        raise SandboxUnavailableError(
            f"the Docker engine at {url} does not answer: {exc}",
            hint="sudo systemctl restart docker",
        ) from exc
