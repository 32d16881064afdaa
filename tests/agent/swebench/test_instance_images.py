"""Images pulled from a real registry's protocol, and built with a template, in a real engine."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.images.built import INSTANCE_LABEL, BuiltImages
from rnj_agent.agent.swebench.images.pulled import PulledImages
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.instance_sandbox import open_instance_sandbox
from rnj_agent.sandbox.docker import check_image
from rnj_agent.sandbox.engine import connect
from rnj_agent.sandbox.errors import DiskFullError, ImageMissingError, SandboxError
from rnj_agent.sandbox.images.build import DEFAULT_IMAGE
from rnj_agent.sandbox.images.context_build import BuildStoppedError, build_from_context, has_image
from rnj_agent.sandbox.images.pull import PullStoppedError, pull_image
from tests.agent.swebench.registry_server import RegistryServer

pytestmark = pytest.mark.docker
TEMPLATE: Final = """
FROM {{ base_image }}
ADD repository.tar /testbed/
COPY conda.sh /opt/miniconda3/etc/profile.d/conda.sh
COPY activate /opt/miniconda3/bin/activate
RUN cd /testbed && git checkout -q -f HEAD -- . \
 && python3 -m venv --without-pip /opt/miniconda3/envs/testbed \
 && echo '. /opt/miniconda3/bin/activate && conda activate testbed' > ~root/.bashrc
RUN {{ override.install | join(" && ") }}
"""


@pytest.fixture(autouse=True)
def engine() -> None:
    try:
        client = connect()
        check_image(client, DEFAULT_IMAGE)
        client.close()
    except SandboxError as exc:
        pytest.skip(f"{exc.message}; do: {exc.hint}")


@contextmanager
def removed_in_the_end(*names: str) -> Generator[None]:
    from docker.errors import APIError

    try:
        yield
    finally:
        client = connect()
        for name in names:
            with suppress(APIError):
                client.images.remove(name, force=True)
        client.close()


def ignored(notice: Notice) -> None:
    """Nobody listens."""


def pull(name: str, stop: threading.Event | None = None) -> tuple[list[tuple[int, int]], list[str]]:
    progress, problems = list[tuple[int, int]](), list[str]()
    pull_image(
        name,
        on_progress=lambda done, total: progress.append((done, total)),
        on_retry=lambda problem, delay_s: problems.append(problem),
        stop=stop or threading.Event(),
        delays_s=(0.0, 0.0),
    )
    return progress, problems


def test_a_registry_that_fails_at_first_is_asked_again() -> None:
    server = RegistryServer(num_failures=2)
    with server.running() as name, removed_in_the_end(name):
        progress, problems = pull(name)
        assert has_image(name)
    assert problems
    assert all("503" in problem for problem in problems)
    done, total = progress[-1]
    assert done == total == len(server.blobs[server.layer_id])


def test_a_registry_that_stays_away_is_named() -> None:
    with RegistryServer().running() as name:
        pass
    with pytest.raises(ImageMissingError, match="could not be pulled in 3 tries"):
        pull(name)


def test_an_image_that_is_not_there_is_not_asked_for_again() -> None:
    with RegistryServer().running() as name, pytest.raises(ImageMissingError) as raised:
        pull(name.replace(":latest", ":none"))
    assert "does not give the image" in raised.value.message


def test_a_pull_stops_when_it_is_told_to() -> None:
    server, stop = RegistryServer(stalls=True), threading.Event()
    timers = [threading.Timer(0.5, stop.set), threading.Timer(1.0, server.gone.set)]
    with server.running() as name:
        for timer in timers:
            timer.start()
        with pytest.raises(PullStoppedError):
            pull(name, stop)
        for timer in timers:
            timer.join()


async def test_workers_share_one_pull() -> None:
    server = RegistryServer()
    lines: list[str] = []
    with server.running() as name, removed_in_the_end(name):
        images = PulledImages(name)
        instance = _instance("0" * 40)
        pulls = (
            images.ensure(instance, lambda notice: lines.append(notice.text)) for _ in range(4)
        )
        assert set(await asyncio.gather(*pulls)) == {name}
        assert server.num_layers_sent == 1
        assert f"pulling {name}" in lines
        await images.ensure(instance, ignored)
        assert server.num_layers_sent == 1


async def test_an_image_is_built_once_from_one_commit_and_activated(tmp_path: Path) -> None:
    commit, mirror = _mirror(tmp_path)
    template = tmp_path / "Dockerfile.j2"
    template.write_text(TEMPLATE)
    overrides = tmp_path / "overrides.toml"
    overrides.write_text('["tiny/calc"]\ninstall = ["touch /built"]\n')
    images = BuiltImages(template=template, repo_mirror=mirror, overrides=overrides)
    instance = _instance(commit)
    name = images.recipe_of(instance).name
    lines: list[str] = []
    with removed_in_the_end(name):
        builds = (
            images.ensure(instance, lambda notice: lines.append(notice.text)) for _ in range(3)
        )
        assert set(await asyncio.gather(*builds)) == {name}
        assert len({line for line in lines if "Step 1/" in line}) == 1
        assert _labels(name)[INSTANCE_LABEL] == instance.instance_id
        lines.clear()
        assert await images.ensure(instance, lambda notice: lines.append(notice.text)) == name
        assert not lines
        async with open_instance_sandbox(Config(), name) as sandbox:
            head = await sandbox.execute("git log --all --format=%H; cat calc.py; ls /built")
            assert head.output == f"{commit}\nx = 1\n/built\n"
            python = await sandbox.execute("which python; echo $CONDA_DEFAULT_ENV")
            assert python.output == "/opt/miniconda3/envs/testbed/bin/python\ntestbed\n"
            script = "set -u; source /opt/miniconda3/bin/activate; conda activate testbed; "
            script += "conda deactivate; which python; conda install numpy"
            away = await sandbox.execute(f"bash -c '{script}'")
            assert away.output.startswith("/usr/bin/python\n")
            assert away.exit_code == 1


async def test_a_build_that_fails_ends_with_what_it_said(tmp_path: Path) -> None:
    commit, mirror = _mirror(tmp_path)
    template = tmp_path / "Dockerfile.j2"
    template.write_text("FROM {{ base_image }}\nRUN echo nothing works; exit 3\n")
    images = BuiltImages(template=template, repo_mirror=mirror)
    with pytest.raises(ImageMissingError) as raised:
        await images.ensure(_instance(commit), ignored)
    assert "returned a non-zero code: 3" in raised.value.message
    assert raised.value.message.endswith("nothing works")


async def test_a_full_disk_is_told_from_a_build_that_fails(tmp_path: Path) -> None:
    commit, mirror = _mirror(tmp_path)
    template = tmp_path / "Dockerfile.j2"
    template.write_text("FROM {{ base_image }}\nRUN echo 'x: No space left on device'; exit 1\n")
    images = BuiltImages(template=template, repo_mirror=mirror)
    with pytest.raises(DiskFullError):
        await images.ensure(_instance(commit), ignored)


def test_a_build_stops_when_it_is_told_to(tmp_path: Path) -> None:
    import tarfile

    (tmp_path / "Dockerfile").write_text(
        f"FROM {DEFAULT_IMAGE}\nRUN for n in $(seq 600); do echo $n; sleep 0.1; done\n"
    )
    with (tmp_path / "context.tar").open("w+b") as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            archive.add(tmp_path / "Dockerfile", "Dockerfile")
        context.seek(0)
        stop = threading.Event()
        started_s = time.monotonic()
        with pytest.raises(BuildStoppedError):
            build_from_context(
                "rnj-swebench/stopped:1",
                context,
                labels={},
                progress=lambda line: stop.set() if line == "5" else None,
                stop=stop,
            )
        assert time.monotonic() - started_s < 50


def _instance(commit: str) -> Instance:
    return Instance(
        instance_id="tiny__calc-1", repo="tiny/calc", base_commit=commit, problem_statement="wrong"
    )


def _labels(name: str) -> dict[str, str]:
    client = connect()
    labels = client.images.get(name).labels
    client.close()
    return dict(labels)


def _mirror(folder: Path) -> tuple[str, Path]:
    """A bare clone with a commit and its future: the commit, and the folder of the clone."""
    work = folder / "work"
    work.mkdir()
    _git(work, "init", "-q")
    (work / "calc.py").write_text("x = 1\n")
    _git(work, "add", "-A")
    _git(work, "commit", "-q", "-m", "base")
    commit = _git(work, "rev-parse", "HEAD")
    _git(work, "commit", "-q", "--allow-empty", "-m", "the fix")
    _git(folder, "clone", "-q", "--bare", str(work), "mirror/tiny__calc")
    return commit, folder / "mirror"


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    run = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip()
