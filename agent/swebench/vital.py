"""What every attempt needs, and how to tell that it is there: engine, disk, the model's server."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from rnj_agent.agent.swebench.pause import Pause
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError

MIN_FREE_BYTES: Final = 256 * 1024**2
"""Of the run directory's disk, below which nothing is begun: a few logs would fill it."""
ENGINE_TIMEOUT_S: Final = 20
SERVER_TIMEOUT_S: Final = 20.0
_SERVER_ERROR: Final = 500


async def wait_for_engine(pause: Pause) -> float:
    """Seconds waited until a Docker engine answers. Raises: PauseLimitError."""
    return await pause.until("the Docker engine does not answer", _engine_answers)


async def wait_for_disk(pause: Pause, directory: Path) -> float:
    """Seconds waited until there is room. Raises: PauseLimitError."""

    async def has_room() -> bool:
        return await asyncio.to_thread(free_bytes, directory) >= MIN_FREE_BYTES

    return await pause.until(f"the disk is full below {directory.parents[1]}", has_room)


async def wait_for_server(pause: Pause, base_url: str) -> float:
    """Seconds waited until the model's server answers. Raises: PauseLimitError."""

    async def answers() -> bool:
        return await _server_answers(base_url)

    return await pause.until(f"the model server at {base_url} does not answer", answers)


def free_bytes(directory: Path) -> int:
    """On the disk of a directory, or of the nearest one above it that exists."""
    while not directory.exists():
        directory = directory.parent
    return shutil.disk_usage(directory).free


async def _engine_answers() -> bool:
    return await asyncio.to_thread(_ping)


def _ping() -> bool:
    import requests
    from docker.errors import DockerException

    try:
        client = connect(timeout_s=ENGINE_TIMEOUT_S)
    except SandboxError:
        return False
    try:
        return bool(client.ping())
    except (DockerException, requests.RequestException):
        return False
    finally:
        client.close()


async def _server_answers(base_url: str) -> bool:
    """Whether anything but an error of its own comes from there; a refused key is an answer."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=SERVER_TIMEOUT_S) as client:
            response = await client.get(f"{base_url}/models")
    except httpx.HTTPError:
        return False
    return response.status_code < _SERVER_ERROR
