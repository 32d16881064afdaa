"""What the files for serving say, held against the program that they serve."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from rnj_agent.agent.cli.serve import command as serve_command
from rnj_agent.runtime.catalogue import CATALOGUE
from rnj_agent.runtime.server.options import ServeOptions
from tests.deploy.serving_image import (
    COMPOSE_FILE,
    ROOT,
    compose_argv,
    compose_services,
    final_stage,
    health_probe,
    instructions,
    start_command,
)

PORT = 8000
KEY_FILE = "/run/secrets/rnj_api_key"


def test_the_container_starts_serve_with_options_that_it_has() -> None:
    program, name, *arguments = start_command()
    assert (program, name) == ("rnj-agent", "serve")
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    known = {flag for parameter in serve_command.params for flag in parameter.opts}
    assert options.keys() <= known
    assert options["--api-key-file"] == KEY_FILE
    assert options["--port"] == str(PORT)
    assert options["--model"] in CATALOGUE
    assert not ServeOptions(model="m", host=options["--host"]).is_loopback, "so a key is required"


def test_the_image_is_for_a_user_without_rights() -> None:
    stage = final_stage()
    assert stage["USER"].split(":")[0] not in {"0", "root"}
    assert stage["VOLUME"] == "/models"
    assert "RNJ_HOME=/models" in stage["ENV"]
    assert stage["EXPOSE"] == str(PORT)


def test_the_dockerfile_needs_neither_buildkit_nor_a_certain_registry() -> None:
    for name, arguments in instructions():
        assert not arguments.startswith("--mount"), "the classic builder has no mounts"
        if name == "FROM":
            assert arguments.split()[0] == "${BASE}"


class _Health(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def health_port() -> Generator[int, None, None]:
    server = HTTPServer(("127.0.0.1", 0), _Health)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False)])
def test_the_health_probe_tells_a_loaded_server_from_a_loading_one(
    health_port: int, status: int, is_well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Health, "status", status)
    program, *arguments = health_probe()
    assert program == "python"
    assert f":{PORT}/health" in arguments[-1]
    code = arguments[-1].replace(f":{PORT}/", f":{health_port}/")
    ended = subprocess.run(
        [sys.executable, *arguments[:-1], code], capture_output=True, check=False
    )
    assert (ended.returncode == 0) == is_well


def test_the_build_context_is_enough_for_the_whole_wheel(tmp_path: Path) -> None:
    """.dockerignore lets everything pass that the wheel is made of, and no more than its tree."""
    allowed = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    context = tmp_path / "context"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *allowed],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (context / name).write_bytes((ROOT / name).read_bytes())
    assert names_in_wheel(context, tmp_path / "from_context") == names_in_wheel(
        ROOT, tmp_path / "from_tree"
    )


def names_in_wheel(source: Path, target: Path) -> set[str]:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_compose_gives_the_container_no_more_than_it_needs() -> None:
    services = compose_services()
    assert {name: service["profiles"] for name, service in services.items()} == {
        "cpu": ["cpu"],
        "cuda": ["cuda"],
    }
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "${RNJ_USER:-10001:10001}"
        assert service["ports"] == ["${RNJ_BIND:-127.0.0.1}:${RNJ_PORT:-8000}:8000"]
        assert [f"/run/secrets/{name}" for name in service["secrets"]] == [KEY_FILE]
    assert services["cuda"]["deploy"]["resources"]["reservations"]["devices"]


def test_compose_itself_accepts_the_file_and_insists_on_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = [*compose_argv(), "-f", str(COMPOSE_FILE), "--profile", "cpu", "--profile", "cuda"]
    config += ["config"]
    monkeypatch.delenv("RNJ_API_KEY_FILE", raising=False)
    refused = subprocess.run(config, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "RNJ_API_KEY_FILE" in refused.stderr
    monkeypatch.setenv("RNJ_API_KEY_FILE", str(tmp_path / "key"))
    accepted = subprocess.run(config, capture_output=True, text=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    assert "qwen2.5-coder-1.5b" in accepted.stdout
