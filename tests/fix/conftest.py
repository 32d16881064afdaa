"""Fixtures around real repositories."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.bubblewrap import BubblewrapBackend
from rnj_agent.sandbox.bubblewrap_binary import find_bubblewrap
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions, check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import SandboxUnavailableError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

sys.path.insert(0, str(Path(__file__).parent))  # for real_repo: tests are not a package

from real_repo import MakeRepo, Repo


@pytest.fixture
def make_repo(tmp_path: Path) -> MakeRepo:
    """Make a repository; files given by path are committed."""

    def make(files: Mapping[str, str | bytes] | None = None, *, name: str = "repo") -> Repo:
        repo = Repo(tmp_path / name)
        if files is not None:
            repo.write(files)
            repo.commit()
        return repo

    return make


@pytest.fixture(autouse=True)
def no_user_git_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the person who runs the tests has configured must not matter."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(
    params=[
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def sandbox_kind(request: pytest.FixtureRequest) -> str:
    """Each real sandbox in turn; skips where this machine lacks it."""
    kind = str(request.param)
    try:
        _require(kind)
    except SandboxUnavailableError as error:
        pytest.skip(f"no {kind} here: {error.message}; {error.hint}")
    return kind


def _require(kind: str) -> None:
    if kind == "bubblewrap":
        find_bubblewrap()
        return
    client = connect()
    try:
        check_image(client, DEFAULT_IMAGE)
    finally:
        client.close()


@pytest.fixture
async def sandbox(sandbox_kind: str) -> AsyncGenerator[Sandbox]:
    limits = SandboxLimits()
    backend = (
        BubblewrapBackend(limits=limits)
        if sandbox_kind == "bubblewrap"
        else DockerBackend(DockerOptions(image=DEFAULT_IMAGE), limits=limits)
    )
    async with BackendSandbox(backend) as entered:
        yield entered
