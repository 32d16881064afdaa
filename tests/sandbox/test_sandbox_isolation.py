"""What a command cannot reach: network, host files, host variables, the engine, rights."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.bubblewrap import BubblewrapBackend
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A word that stands in a file in the real home and in a variable of this process."""
    word = f"secret-{secrets.token_hex(8)}"
    path = Path.home() / f".rnj-test-{secrets.token_hex(4)}"
    path.write_text(word)
    monkeypatch.setenv("RNJ_TEST_SECRET", word)
    yield word
    path.unlink()


@pytest.fixture
def listener() -> Iterator[int]:
    """A port on which this machine answers, on every address."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def shown_directory(tmp_path: Path) -> Path:
    path = tmp_path / "shown"
    path.mkdir()
    (path / "data").write_text("data\n")
    path.chmod(0o755)  # where this user is root, commands run as another one
    (path / "data").chmod(0o644)
    return path


async def test_no_host_files_and_no_host_variables(sandbox: Sandbox, secret: str) -> None:
    places = f"{Path.home()} /home /root /tmp /var /etc /run /workspace"
    result = await sandbox.execute(
        f"grep -rIs -- {secret[:-1]}[{secret[-1]}] {places} /proc/*/environ; "
        "env | grep RNJ_TEST; cat /etc/shadow",
        timeout_s=120,
    )
    assert secret not in result.output
    assert "root:$" not in result.output


async def test_no_host_processes(sandbox: Sandbox) -> None:
    result = await sandbox.execute(f"kill -0 {os.getpid()}; set -- /proc/[0-9]*; echo $#")
    assert int(result.output.split()[-1]) < 16


async def test_no_network(sandbox: Sandbox, listener: int) -> None:
    addresses = ["127.0.0.1", "172.17.0.1", socket.gethostbyname(socket.gethostname()), "9.9.9.9"]
    for address in addresses:
        command = f"exec 3<>/dev/tcp/{address}/{listener} && echo reached"
        result = await sandbox.execute(command, timeout_s=5)
        assert "reached" not in result.output
    interfaces = await sandbox.execute("tail -n +3 /proc/net/dev | cut -d: -f1")
    assert interfaces.output.split() == ["lo"]


async def test_no_engine_socket(sandbox: Sandbox) -> None:
    result = await sandbox.execute("ls /var/run/docker.sock /run/docker.sock; find / -type s -xdev")
    assert "docker.sock\n" not in result.output.replace("cannot access", "")
    assert "/run/docker.sock':" in result.output


async def test_no_rights(sandbox: Sandbox) -> None:
    fields = "'^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs):'"
    status = await sandbox.execute(f"grep -E {fields} /proc/self/status")
    values = dict(line.split() for line in status.output.splitlines())
    assert values.pop("NoNewPrivs:") == "1"
    assert set(values.values()) == {"0" * 16}
    tries = (
        "mount -t tmpfs none /tmp",
        "chown 0 .",
        "su -c true",
        "mknod disk b 8 0",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo b > /proc/sysrq-trigger",
        "touch /usr/bin/new",
        "touch /new",
        "date -s 2001-01-01",
        "chroot / true",
    )
    for command in tries:
        assert (await sandbox.execute(command)).exit_code != 0, command
    assert (await sandbox.execute("id -u")).output.strip() != "0"


@pytest.mark.docker
async def test_the_engine_was_told_so(docker_is_ready: None) -> None:
    backend = DockerBackend(
        DockerOptions(image=DEFAULT_IMAGE), limits=SandboxLimits(), session_id="told"
    )
    client = connect()
    async with BackendSandbox(backend):
        (container,) = client.containers.list(filters={"label": "dev.rnj-agent.session=told"})
        host: dict[str, object] = container.attrs["HostConfig"]
    client.close()
    expected = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "Init": True,
        "Privileged": False,
        "PidsLimit": 512,
        "Memory": 4 * 1024**3,
        "MemorySwap": 4 * 1024**3,
        "IpcMode": "private",
        "LogConfig": {"Type": "none", "Config": {}},
    }
    assert {name: host[name] for name in expected} == expected
    assert not any(":" in volume for volume in cast("list[str]", host["Binds"]))  # none of the host


@pytest.mark.bubblewrap
async def test_read_only_directories_are_shown_and_stay_as_they_are(
    bubblewrap_is_ready: None, shown_directory: Path
) -> None:
    path = shown_directory
    backend = BubblewrapBackend(limits=SandboxLimits(), extra_read_only=[path])
    async with BackendSandbox(backend) as sandbox:
        result = await sandbox.execute(f"cat {path}/data; touch {path}/new")
    assert result.output.startswith("data\n")
    assert "Read-only file system" in result.output


@pytest.mark.bubblewrap
async def test_network_on_request(bubblewrap_is_ready: None, listener: int) -> None:
    async with BackendSandbox(BubblewrapBackend(limits=SandboxLimits(), network=True)) as sandbox:
        assert sandbox.info.network
        result = await sandbox.execute(f"exec 3<>/dev/tcp/127.0.0.1/{listener} && echo reached")
    assert result.output == "reached\n"
