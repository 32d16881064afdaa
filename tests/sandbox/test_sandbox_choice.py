"""Which sandbox is chosen, and what a person reads where there is none."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnj_agent.sandbox import bubblewrap_binary
from rnj_agent.sandbox.choose import SandboxRequest, open_sandbox
from rnj_agent.sandbox.engine import connect, engine_urls
from rnj_agent.sandbox.errors import ImageMissingError, SandboxUnavailableError
from rnj_agent.sandbox.probe import probe, runc_fact

NOBODY = 65534


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fails = tmp_path / "bwrap"
    fails.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fails.chmod(0o755)
    monkeypatch.setattr(bubblewrap_binary, "candidates", lambda: [str(fails)])


@pytest.fixture
def forbidden_socket() -> Iterator[str]:
    """A socket that this user may not open, as /var/run/docker.sock is for most users."""
    path = f"/tmp/rnj-test-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        Path(path).chmod(0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(NOBODY)
        yield path
        os.seteuid(was)
        Path(path).unlink()


@pytest.mark.docker
async def test_auto_prefers_docker_and_says_nothing(docker_is_ready: None) -> None:
    lines: list[str] = []
    sandbox = await open_sandbox(SandboxRequest(), progress=lines.append)
    assert (sandbox.info.kind, lines) == ("docker", [])


@pytest.mark.bubblewrap
async def test_auto_takes_bubblewrap_and_says_why(
    no_engine: None, bubblewrap_is_ready: None
) -> None:
    lines: list[str] = []
    sandbox = await open_sandbox(SandboxRequest(), progress=lines.append)
    assert sandbox.info.kind == "bubblewrap"
    assert len(lines) == 1
    assert lines[0].startswith("not Docker: no Docker engine answers at unix://")


async def test_nothing_is_an_error_and_never_the_host(no_engine: None, no_bubblewrap: None) -> None:
    with pytest.raises(SandboxUnavailableError, match="no sandbox on this machine") as caught:
        await open_sandbox(SandboxRequest(), progress=_ignore)
    assert "no Docker engine answers" in caught.value.message
    assert "bubblewrap cannot make namespaces here" in caught.value.message
    assert "apt-get install -y docker.io" in caught.value.hint
    for kind in ("docker", "bubblewrap"):
        with pytest.raises(SandboxUnavailableError):
            await open_sandbox(SandboxRequest(kind=kind), progress=_ignore)
    assert [fact.available for fact in probe()] == [False, False]


async def test_host_is_taken_by_name_and_says_so() -> None:
    lines: list[str] = []
    sandbox = await open_sandbox(SandboxRequest(kind="host"), progress=lines.append)
    assert sandbox.info.kind == "host"
    assert "NO SANDBOX" in sandbox.info.detail
    assert "there is no sandbox" in lines[0]
    async with sandbox:
        assert (await sandbox.execute("echo $HOME")).output.strip() == os.environ["HOME"]


def test_no_rights_on_the_socket(forbidden_socket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{forbidden_socket}")
    with pytest.raises(SandboxUnavailableError, match="no rights on the Docker socket") as caught:
        connect()
    assert "usermod -aG docker" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ssh://user@host", "ssh or TLS"),
        ("tcp://127.0.0.1:1", "no Docker engine answers"),
        ("tcp://127.0.0.1:notaport", "no Docker engine answers"),
        ("nonsense", "not supported"),
    ],
)
def test_hosts_that_do_not_answer(monkeypatch: pytest.MonkeyPatch, url: str, message: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(SandboxUnavailableError, match=message):
        connect()


def test_something_else_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        server.settimeout(5)
        with pytest.raises(SandboxUnavailableError, match="does not answer"):
            connect(timeout_s=1)


def test_docker_contexts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"currentContext": "mine"}')
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text('{"Endpoints": {"docker": {"Host": "unix:///mine.sock"}}}')
    assert engine_urls()[0] == "unix:///mine.sock"
    for broken in ("", "[]", '{"Endpoints": null}'):
        meta.write_text(broken)
        assert "unix:///mine.sock" not in engine_urls()


@pytest.mark.docker
@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("rnj-test-no-such-image:1", "has no image"),
        ("--privileged", "not an image name"),
        ("a b", "not an image name"),
        ("../../containers/json", "not an image name"),
        ("a/../../b", "not an image name"),
        ("UPPER:case", "image"),
        ("$(touch /tmp/x)", "not an image name"),
        ("", "has no image"),
    ],
)
async def test_images_that_are_not_there(docker_is_ready: None, image: str, message: str) -> None:
    request = SandboxRequest(kind="docker", image=image or "x" * 200)
    with pytest.raises(ImageMissingError, match=message) as caught:
        await open_sandbox(request, progress=_ignore)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("1.1.5+ds1", False),
        ("1.2.7", False),
        ("1.2.8", True),
        ("1.3.0", False),
        ("1.3.3", True),
        ("1.4.0", True),
        ("2.0.1", True),
        ("", True),
    ],
)
def test_runc_releases(version: str, good: bool) -> None:
    fact = runc_fact(version)
    assert fact.available is good
    assert bool(fact.hint) is not good


def _ignore(line: str) -> None:
    pass
