"""Servers of a model, each in a process of its own: ours, and llama.cpp's own by its bindings."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from rnj_agent.runtime.bench.rival import RivalOptions, running_rival
from rnj_agent.runtime.machine import num_physical_cores
from rnj_agent.runtime.server.ready_file import read_record

_START_TIMEOUT_S = 300.0
_HAS_XLLAMACPP = "import importlib.util as u, sys; sys.exit(u.find_spec('xllamacpp') is None)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServer:
    name: str
    base_url: str
    """With the ``/v1``."""
    headers: dict[str, str] = field(default_factory=dict[str, str])


@contextlib.contextmanager
def our_server(
    name: str, path: Path, context: int, options: Sequence[str]
) -> Generator[HttpServer, None, None]:
    with tempfile.TemporaryDirectory(prefix="rnj-bench-") as folder:
        ready_file = Path(folder) / "server.json"
        argv = [sys.executable, "-P", "-m", "rnj_agent.runtime.server", "--model", str(path)]
        argv += ["--port", "0", "--ready-file", str(ready_file), "--context", str(context)]
        with _process([*argv, *options], Path(folder) / "log") as process:
            record = None
            while record is None:
                _check_alive(process)
                record = read_record(ready_file)
            headers = {"Authorization": f"Bearer {record.api_key}"}
            server = HttpServer(name=name, base_url=record.base_url, headers=headers)
            _wait(process, record.base_url.removesuffix("/v1") + "/health", headers)
            yield server


@contextlib.contextmanager
def rival_server(interpreter: str, path: Path, context: int) -> Generator[HttpServer, None, None]:
    """llama.cpp's own server through xllamacpp; else llama-cpp-python's."""
    if subprocess.run([interpreter, "-c", _HAS_XLLAMACPP], check=False).returncode == 0:
        options = RivalOptions(
            path=path, num_threads=num_physical_cores(), context=context, num_slots=4
        )
        with running_rival(interpreter, options) as rival:
            yield HttpServer(name=rival.info.binding, base_url=f"{rival.url}/v1")
        return
    port = _free_port()
    argv = [interpreter, "-m", "llama_cpp.server", "--model", str(path), "--port", str(port)]
    argv += ["--n_ctx", str(context), "--n_threads", str(num_physical_cores())]
    argv += ["--n_threads_batch", str(num_physical_cores()), "--flash_attn", "true"]
    with (
        tempfile.TemporaryDirectory(prefix="rnj-bench-") as folder,
        _process(argv, Path(folder) / "log") as process,
    ):
        url = f"http://127.0.0.1:{port}/v1"
        _wait(process, f"{url}/models", {})
        yield HttpServer(name="llama-cpp-python", base_url=url)


@contextlib.contextmanager
def _process(argv: Sequence[str], log: Path) -> Generator[subprocess.Popen[bytes], None, None]:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, headers: dict[str, str]) -> None:
    while True:
        _check_alive(process)
        with contextlib.suppress(httpx.TransportError):
            reply = httpx.get(url, headers=headers, trust_env=False, timeout=30.0)
            if reply.is_success:
                return


def _check_alive(process: subprocess.Popen[bytes]) -> None:
    time.sleep(0.2)
    if process.poll() is not None:
        raise SystemExit(f"A server ended with status {process.returncode}: {process.args}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
