"""The container goes away under a command: an error that says so, not a result and not a hang."""

from __future__ import annotations

import asyncio

import pytest

from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import SandboxLimits
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxLostError, SandboxStartError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

pytestmark = pytest.mark.docker


def _sandbox(session_id: str) -> BackendSandbox:
    options = DockerOptions(image=DEFAULT_IMAGE)
    return BackendSandbox(DockerBackend(options, limits=SandboxLimits(), session_id=session_id))


def _remove(session_id: str) -> None:
    client = connect()
    for container in client.containers.list(
        filters={"label": f"dev.rnj-agent.session={session_id}"}
    ):
        container.remove(force=True, v=True)
    client.close()


async def test_between_commands(docker_is_ready: None) -> None:
    async with _sandbox("lost-between") as sandbox:
        await asyncio.to_thread(_remove, "lost-between")
        with pytest.raises(SandboxLostError, match="container is gone"):
            await sandbox.execute("true")
        with pytest.raises(SandboxLostError):
            await sandbox.read_file("x")


async def test_under_a_command(docker_is_ready: None) -> None:
    async with _sandbox("lost-under") as sandbox:
        started = asyncio.Event()
        running = asyncio.create_task(
            sandbox.execute("echo on; sleep 1000", on_output=lambda _: started.set())
        )
        await started.wait()
        await asyncio.to_thread(_remove, "lost-under")
        with pytest.raises(SandboxLostError, match="container is gone"):
            await asyncio.wait_for(running, 30)


async def test_limits_that_the_engine_refuses(docker_is_ready: None) -> None:
    backend = DockerBackend(
        DockerOptions(image=DEFAULT_IMAGE), limits=SandboxLimits(memory_bytes=1)
    )
    with pytest.raises(SandboxStartError, match="did not start"):
        async with BackendSandbox(backend):
            pass
