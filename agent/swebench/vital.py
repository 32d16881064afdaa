"""What every attempt needs, and how to tell that it is there: engine, disk, the model's server."""

from __future__ import annotations

import asyncio
import errno
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from docker import DockerClient

MIN_FREE_BYTES: Final = 256 * 1024**2
"""Of a disk, below which nothing is begun: a few logs, or a container, would fill it."""
ENGINE_TIMEOUT_S: Final = 20
SERVER_TIMEOUT_S: Final = 20.0
_SERVER_ERROR: Final = 500
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_SAMPLE_BYTES: Final = 64 * 1024


async def wait_for_engine(pause: Pause) -> float:
    """Seconds waited until a Docker engine answers, and has room. Raises: PauseLimitError."""
    waited_s = await pause.until("the Docker engine does not answer", _engine_answers)
    return waited_s + await pause.until("the Docker engine's disk is full", _engine_has_room)


async def wait_for_disk(pause: Pause, root: Path) -> float:
    """Seconds waited until a directory's disk has room. Raises: PauseLimitError."""

    async def is_back() -> bool:
        return await asyncio.to_thread(has_room, root)

    return await pause.until("the disk of the run directory is full", is_back)


async def wait_for_server(pause: Pause, base_url: str) -> float:
    """Seconds waited until the model's server answers. Raises: PauseLimitError."""

    async def is_back() -> bool:
        return await _server_answers(base_url)

    return await pause.until(f"the model server at {base_url} does not answer", is_back)


async def write_patiently(pause: Pause, root: Path, write: Callable[[], None]) -> None:
    """Write below ``root``, as soon as its disk has room.

    Raises:
        OSError: the disk refuses for another reason.
        PauseLimitError: it stayed full.
    """
    while True:
        try:
            await asyncio.to_thread(write)
            return
        except OSError as exc:
            if exc.errno not in _FULL:
                raise
        await wait_for_disk(pause, root)


def has_room(root: Path) -> bool:
    """Whether something can be written there, quotas and all."""
    if shutil.disk_usage(root).free < MIN_FREE_BYTES:
        return False
    try:
        with tempfile.TemporaryFile(dir=root, buffering=0) as sample:
            sample.write(bytes(_SAMPLE_BYTES))
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        return False
    return True


async def _engine_answers() -> bool:
    return await asyncio.to_thread(_ask_engine, lambda client: bool(client.ping()))


async def _engine_has_room() -> bool:
    return await asyncio.to_thread(_ask_engine, _has_room_for_containers)


def _ask_engine(question: Callable[[DockerClient], bool]) -> bool:
    import requests
    from docker.errors import DockerException

    try:
        client = connect(timeout_s=ENGINE_TIMEOUT_S)
    except SandboxError:
        return False
    try:
        return question(client)
    except (DockerException, requests.RequestException):
        return False
    finally:
        client.close()


def _has_room_for_containers(client: DockerClient) -> bool:
    """True also where its disk is on another machine, or not ours to see."""
    root = Path(str(client.info().get("DockerRootDir") or "/nonexistent"))
    try:
        return shutil.disk_usage(root).free >= MIN_FREE_BYTES
    except OSError:
        return True


async def _server_answers(base_url: str) -> bool:
    """Whether anything but an error of its own comes from there; a refused key is an answer."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=SERVER_TIMEOUT_S) as client:
            response = await client.get(f"{base_url}/models")
    except httpx.HTTPError:
        return False
    return response.status_code < _SERVER_ERROR
