"""The server as a process: exit codes, one-line errors, signals, the ready file."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.server.listener import listening_on_path
from rnj_agent.runtime.server.process import EXIT_NO_MODEL, EXIT_USAGE
from rnj_agent.runtime.server.ready_file import ServerRecord, read_record
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

PATIENCE_S = 60.0


class ServerProcess:
    """A child process with its standard error in a file."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.ready_file = folder / "ready.json"
        folder.mkdir(exist_ok=True)
        self._log = folder / "stderr.txt"
        argv = [sys.executable, "-m", "rnj_agent.runtime.server", *args]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                argv, stderr=log, env=os.environ | {"RNJ_HOME": str(folder)}
            )

    @property
    def stderr(self) -> str:
        return self._log.read_text()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def record(self) -> ServerRecord:
        for _ in range(int(PATIENCE_S / 0.05)):
            if (record := read_record(self.ready_file)) is not None:
                return record
            assert self.process.poll() is None, self.stderr
            time.sleep(0.05)
        raise AssertionError("no ready file")

    def wait_until_loaded(self) -> ServerRecord:
        record = self.record()
        url = f"http://127.0.0.1:{record.port}/health"
        for _ in range(int(PATIENCE_S / 0.05)):
            if httpx.get(url, timeout=PATIENCE_S).status_code == 200:
                return record
            time.sleep(0.05)
        raise AssertionError("not loaded")


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(write_noise_checkpoint(tmp_path / "noise.gguf"))


@pytest.fixture
def running(tmp_path: Path, model: str) -> Generator[ServerProcess, None, None]:
    ready = str(tmp_path / "ready.json")
    server = ServerProcess(
        tmp_path, "--model", model, "--port", "0", "--ready-file", ready, "--context", "600"
    )
    yield server
    server.process.kill()
    server.process.wait()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_mid_answer_ends_it_cleanly(running: ServerProcess, sig: int) -> None:
    record = running.wait_until_loaded()
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 500, "stream": True}
    headers = {"Authorization": f"Bearer {record.api_key}"}
    url = f"{record.base_url}/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=PATIENCE_S) as reply:
        lines = reply.iter_lines()
        next(line for line in lines if line.startswith("data"))
        running.process.send_signal(sig)
        rest = list(lines)
    assert "[DONE]" not in rest[-1]
    assert running.wait() == 0
    assert not running.ready_file.exists()
    assert "Traceback" not in running.stderr


def test_it_tells_what_it_loads_and_where(running: ServerProcess) -> None:
    record = running.wait_until_loaded()
    assert f"listening on http://127.0.0.1:{record.port}/v1" in running.stderr
    assert "100%" in running.stderr
    assert "600 tokens of context" in running.stderr


def test_warming_up_is_part_of_loading(running: ServerProcess) -> None:
    running.wait_until_loaded()
    steps = [line.split()[0] for line in running.stderr.splitlines()]
    assert steps.index("warming") < steps.index("ready:")


@pytest.fixture
def on_socket(tmp_path: Path, model: str) -> Generator[ServerProcess, None, None]:
    path = tmp_path / "server.sock"
    server = ServerProcess(tmp_path, "--model", model, "--uds", str(path), "--context", "600")
    for _ in range(int(PATIENCE_S / 0.05)):
        if "ready:" in server.stderr:
            break
        time.sleep(0.05)
    yield server
    server.process.kill()
    server.process.wait()


def test_a_unix_socket_is_its_owners_alone(
    tmp_path: Path, model: str, on_socket: ServerProcess
) -> None:
    path = tmp_path / "server.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        body = {"prompt": "a", "max_tokens": 2}
        assert client.post("http://any.name/v1/completions", json=body).status_code == 200
    second = ServerProcess(tmp_path / "second", "--model", model, "--uds", str(path))
    assert second.wait() == EXIT_USAGE
    assert "another server listens" in second.stderr
    on_socket.process.send_signal(signal.SIGTERM)
    assert on_socket.wait() == 0
    assert not path.exists()


def test_a_dead_servers_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening_on_path(path):
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(EngineError, match="no socket"), listening_on_path(path):
        pass
    assert path.read_text() == "mine"
    with (
        pytest.raises(EngineError, match="too long"),
        listening_on_path(tmp_path / ("x" * 200)),
    ):
        pass


def test_a_signal_while_loading_ends_it_cleanly(running: ServerProcess) -> None:
    running.record()
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() in {0, -signal.SIGTERM}


def test_a_port_in_use_is_an_error_and_a_hint(tmp_path: Path, model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = ServerProcess(tmp_path, "--model", model, "--port", port)
        assert server.wait() == EXIT_USAGE
    error, hint = server.stderr.splitlines()
    assert f"127.0.0.1:{port}" in error
    assert "--port" in hint


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_machines_need_a_key(tmp_path: Path, model: str, host: str) -> None:
    server = ServerProcess(tmp_path, "--model", model, "--host", host, "--port", "0")
    assert server.wait() == EXIT_USAGE
    error, hint = server.stderr.splitlines()
    assert host in error
    assert "--api-key-file" in hint


def test_an_empty_key_file_is_refused(tmp_path: Path, model: str) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("\n")
    server = ServerProcess(tmp_path, "--model", model, "--api-key-file", str(key_file))
    assert server.wait() == EXIT_USAGE
    assert "is empty" in server.stderr


def test_broken_weights_end_it_with_one_line_and_a_code_of_their_own(
    tmp_path: Path, model: str
) -> None:
    whole = Path(model).read_bytes()
    for number, damaged in enumerate([whole[: len(whole) // 2], b"not a model", b""]):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(damaged)
        server = ServerProcess(tmp_path, "--model", str(path), "--port", "0")
        assert server.wait() == EXIT_NO_MODEL
        errors = [line for line in server.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert "Traceback" not in server.stderr


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--model", "no-such-model", "--port", "0")
    assert server.wait() == EXIT_NO_MODEL
    assert "no-such-model" in server.stderr
