"""Choose the sandbox that this machine has, and say why a better one was passed over.

``auto`` is Docker, else bubblewrap, else an error with the commands that would provide one. It is
never the host: that one must be asked for by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.bubblewrap import BubblewrapBackend
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions, check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import ImageMissingError, SandboxUnavailableError
from rnj_agent.sandbox.host import HostBackend
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE, build_image
from rnj_agent.sandbox.sweep import sweep

SandboxKind = Literal["auto", "docker", "bubblewrap", "host"]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRequest:
    kind: SandboxKind = "auto"
    image: str = ""
    """For Docker; empty: the default one, which is built if it is missing. Others must be there."""
    network: bool = False
    """Whether commands may reach the network."""
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    session_id: str = ""
    """A label, for whoever looks at the containers."""
    extra_read_only: tuple[Path, ...] = ()
    """Directories of the host that bubblewrap shows as they are, to be read."""


async def open_sandbox(request: SandboxRequest, *, progress: Progress) -> Sandbox:
    """Sweep what crashed runs left, and choose. The caller enters what is returned.

    Args:
        request: which one, and what it is to be like.
        progress: receives one line at a time, in the event loop's thread.

    Raises:
        SandboxUnavailableError: none can be had; the hint lists commands that would provide one.
        SandboxStartError: there is no room for its files.
    """
    image = request.image or DEFAULT_IMAGE
    loop = asyncio.get_running_loop()

    def report(line: str) -> None:
        loop.call_soon_threadsafe(progress, line)

    try:
        chosen = await asyncio.to_thread(_choose, request.kind, image, report)
    finally:
        await asyncio.sleep(0)  # lines on their way go out before what follows
    await asyncio.to_thread(sweep)
    match chosen:
        case "docker":
            return BackendSandbox(
                DockerBackend(
                    DockerOptions(image=image),
                    limits=request.limits,
                    network=request.network,
                    session_id=request.session_id,
                )
            )
        case "bubblewrap":
            return BackendSandbox(
                BubblewrapBackend(
                    limits=request.limits,
                    network=request.network,
                    extra_read_only=request.extra_read_only,
                )
            )
        case "host":
            return BackendSandbox(HostBackend(limits=request.limits))


def _choose(
    kind: SandboxKind, image: str, progress: Progress
) -> Literal["docker", "bubblewrap", "host"]:
    match kind:
        case "host":
            progress("commands run on this machine itself, as you: there is no sandbox")
            return "host"
        case "docker":
            _ready_docker(image, progress)
            return "docker"
        case "bubblewrap":
            find_bubblewrap()
            return "bubblewrap"
        case "auto":
            return _choose_automatically(image, progress)


def _choose_automatically(image: str, progress: Progress) -> Literal["docker", "bubblewrap"]:
    try:
        _ready_docker(image, progress)
    except SandboxUnavailableError as docker:
        try:
            find_bubblewrap()
        except SandboxUnavailableError as bubblewrap:
            raise SandboxUnavailableError(
                f"no sandbox on this machine: {docker.message}; {bubblewrap.message}",
                hint=f"{docker.hint}\n{bubblewrap.hint}",
            ) from docker
        progress(f"not Docker: {docker.message}")
        return "bubblewrap"
    return "docker"


def _ready_docker(image: str, progress: Progress) -> None:
    """An engine answers and has the image, if need be because it was built just now."""
    client = connect()
    try:
        check_image(client, image)
    except ImageMissingError:
        if image != DEFAULT_IMAGE:
            raise
        progress(f"the image {image} is missing: building it, once")
        build_image(image, progress=progress)
    finally:
        client.close()
