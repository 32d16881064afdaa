"""The image in a real engine: it gets well, asks for the key, writes nowhere, stops in order."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
import openai
import pytest
from docker.models.containers import Container

from tests.deploy.serving_image import COMPOSE_FILE, built_image, compose_argv
from tests.runtime.real_models import SMOLLM2, model_file

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.weights]

KEY = "sk-of-this-test"
MODEL = "smollm2-135m"
START_TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def image() -> str:
    return built_image()


@pytest.fixture
def models() -> Path:
    """The models' folder of this machine, which the container may only read."""
    return model_file(SMOLLM2).parents[2]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Readable for the container's user; who may enter the folder is the host's own matter."""
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o644)
    return path


@contextmanager
def serving(image: str, mounts: Mapping[Path, str], *arguments: str) -> Generator[Container]:
    client = docker.from_env()
    container = client.containers.run(
        image,
        list(arguments),
        detach=True,
        init=True,
        read_only=True,
        tmpfs={"/tmp": ""},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        ports={"8000/tcp": ("127.0.0.1", 0)},
        volumes={str(path): {"bind": target, "mode": "ro"} for path, target in mounts.items()},
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)
        client.close()


def wait_until_healthy(container: Container) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while container.attrs["State"].get("Health", {}).get("Status") != "healthy":
        assert container.status in {"created", "running"}, container.logs().decode()
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.5)
        container.reload()


def published_port(container: Container) -> str:
    bindings = container.ports["8000/tcp"]
    assert bindings
    return bindings[0]["HostPort"]


def run_in(container: Container, command: str) -> tuple[int | None, bytes]:
    """Exit code and output."""
    exit_code, output = container.exec_run(command)
    assert isinstance(output, bytes)
    return exit_code, output


def client_at(port: str, key: str) -> openai.OpenAI:
    base_url = f"http://127.0.0.1:{port}/v1"
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=120)


def ask(client: openai.OpenAI) -> str:
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=12,
        temperature=0,
    )
    return reply.choices[0].message.content or ""


def test_it_serves_its_key_holders_and_nobody_else(
    image: str, models: Path, key_file: Path
) -> None:
    mounts = {models: "/models", key_file: "/run/secrets/rnj_api_key"}
    with serving(image, mounts, "--model", MODEL) as container:
        wait_until_healthy(container)
        port = published_port(container)
        with client_at(port, KEY) as client:
            assert "Paris" in ask(client)
        with client_at(port, "sk-wrong") as client, pytest.raises(openai.AuthenticationError):
            ask(client)

        assert run_in(container, "id -u") == (0, b"10001\n")
        for folder in ("/", "/opt/rnj-agent", "/models"):
            assert run_in(container, f"touch {folder}/written")[0] != 0

        container.stop(timeout=10)  # killed after that, it would end with 137
        assert container.wait()["StatusCode"] == 0


def test_without_a_key_it_does_not_start(image: str, models: Path) -> None:
    with serving(image, {models: "/models"}, "--model", MODEL) as container:
        assert container.wait(timeout=60)["StatusCode"] == 2
        assert b"/run/secrets/rnj_api_key" in container.logs()


def test_compose_brings_it_up_for_the_user_who_owns_key_and_models(
    image: str, models: Path, tmp_path: Path
) -> None:
    override = tmp_path / "override.yaml"
    override.write_text(f"services:\n  cpu:\n    image: {image}\n")
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    environment = os.environ | {
        "RNJ_API_KEY_FILE": str(key_file),
        "RNJ_USER": f"{os.getuid()}:{os.getgid()}",
        "RNJ_MODELS": str(models),
        "RNJ_MODEL": MODEL,
        "RNJ_PORT": "0",
        "COMPOSE_PROJECT_NAME": "rnj-agent-test",
    }
    compose = [*compose_argv(), "-f", str(COMPOSE_FILE), "-f", str(override), "--profile", "cpu"]

    def run(*arguments: str) -> str:
        argv = [*compose, *arguments]
        return subprocess.run(
            argv, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    try:
        run("up", "-d", "--no-build")
        client = docker.from_env()
        container = client.containers.get(run("ps", "-q", "cpu"))
        wait_until_healthy(container)
        with client_at(published_port(container), KEY) as api:
            assert "Paris" in ask(api)
        run("stop")
        assert container.wait()["StatusCode"] == 0
        client.close()
    finally:
        run("down", "--volumes")
