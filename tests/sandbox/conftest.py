"""One suite for every sandbox: the same tests in Docker, bubblewrap and, in part, on the host."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rnj_agent.sandbox.backend import Backend, BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.bubblewrap import BubblewrapBackend
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions, check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxError
from rnj_agent.sandbox.host import HostBackend
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
BUBBLEWRAP = pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)

MakeBackend = Callable[[SandboxLimits], Backend]


@pytest.fixture(params=[DOCKER, BUBBLEWRAP, "host"])
def any_kind(request: pytest.FixtureRequest) -> str:
    """Every kind, where a promise holds even without isolation."""
    return available(request.param)


@pytest.fixture(params=[DOCKER, BUBBLEWRAP])
def kind(request: pytest.FixtureRequest) -> str:
    """The kinds that isolate."""
    return available(request.param)


@pytest.fixture
async def any_sandbox(any_kind: str) -> AsyncIterator[Sandbox]:
    async with BackendSandbox(make_backend(any_kind)) as sandbox:
        yield sandbox


@pytest.fixture
async def sandbox(kind: str) -> AsyncIterator[Sandbox]:
    async with BackendSandbox(make_backend(kind)) as sandbox:
        yield sandbox


@pytest.fixture
async def small_sandbox(kind: str) -> AsyncIterator[Sandbox]:
    """One with bounds that a test can reach."""
    limits = SandboxLimits(
        num_pids=64, memory_bytes=256 * 1024**2, disk_bytes=96 * 1024**2, output_bytes=1024**2
    )
    async with BackendSandbox(make_backend(kind, limits)) as sandbox:
        yield sandbox


@pytest.fixture
def docker_is_ready() -> None:
    available("docker")


@pytest.fixture
def bubblewrap_is_ready() -> None:
    available("bubblewrap")


@pytest.fixture
def marker() -> str:
    """A word that no other process on this machine has in its command line."""
    return f"rnj-test-{secrets.token_hex(8)}"


@pytest.fixture
def find_processes() -> Callable[[str], list[int]]:
    """Host pids of processes whose first argument is a marker."""

    def find(marker: str) -> list[int]:
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _named(path, marker)]

    return find


def make_backend(kind: str, limits: SandboxLimits | None = None) -> Backend:
    limits = limits or SandboxLimits()
    match kind:
        case "docker":
            return DockerBackend(DockerOptions(image=DEFAULT_IMAGE), limits=limits)
        case "bubblewrap":
            return BubblewrapBackend(limits=limits)
        case _:
            return HostBackend(limits=limits)


def available(kind: str) -> str:
    """The kind, where this machine has it; else the test is skipped."""
    try:
        if kind == "docker":
            client = connect()
            try:
                check_image(client, DEFAULT_IMAGE)
            finally:
                client.close()
        elif kind == "bubblewrap":
            find_bubblewrap()
    except SandboxError as exc:
        pytest.skip(f"{exc.message}; do: {exc.hint}")
    return kind


def _named(process: Path, marker: str) -> bool:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")[0] == marker.encode()
    except OSError:
        return False
