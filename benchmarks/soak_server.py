"""A server process under observation: started for real, sampled through /proc and /metrics."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx

from rnj_agent.runtime.server.ready_file import ServerRecord, read_record

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 20.0
_METRICS = {
    "rnj_kv_blocks_used": "num_used_blocks",
    "rnj_kv_blocks_cached": "num_cached_blocks",
    "rnj_replies_running": "num_running",
    "rnj_replies_waiting": "num_waiting",
    "rnj_sequences_total": "num_sequences",
    "rnj_generation_tokens_total": "num_generation_tokens",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    time_s: float
    """After the start of the soak."""
    rss_bytes: int
    num_fds: int
    num_threads: int
    num_used_blocks: int
    num_cached_blocks: int
    num_running: int
    num_waiting: int
    num_sequences: int
    """Replies that the engine took on since it started."""
    num_generation_tokens: int


class SoakServer:
    def __init__(self, process: subprocess.Popen[bytes], record: ServerRecord, model: str) -> None:
        self.process = process
        self.record = record
        self.model = model
        self._begun = time.monotonic()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.record.api_key}"}

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def restart_clock(self) -> None:
        self._begun = time.monotonic()

    def sample(self) -> Sample:
        """Asks on a connection that is closed again before descriptors are counted."""
        url = self.record.base_url.removesuffix("/v1") + "/metrics"
        text = httpx.get(url, headers=self.headers, trust_env=False, timeout=60.0).text
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
        time.sleep(0.2)
        process = Path(f"/proc/{self.process.pid}")
        pages = int((process / "statm").read_text().split()[1])
        return Sample(
            time_s=time.monotonic() - self._begun,
            rss_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
            num_fds=len(list((process / "fd").iterdir())),
            num_threads=len(list((process / "task").iterdir())),
            **{field: int(float(values[name])) for name, field in _METRICS.items()},
        )

    def sample_when_idle(self, *, timeout_s: float) -> Sample:
        """The first sample with nothing running or waiting; the last one if that never comes."""
        deadline = time.monotonic() + timeout_s
        while True:
            sample = self.sample()
            if not (sample.num_running or sample.num_waiting) or time.monotonic() > deadline:
                return sample
            time.sleep(0.5)


@contextlib.contextmanager
def running_server(
    model: str, *, context: int, kv_memory_gib: float, folder: Path
) -> Generator[SoakServer, None, None]:
    """Start it, wait until the model answers, and end it with SIGTERM when the block is left."""
    ready_file = folder / "server.json"
    argv = [sys.executable, "-P", "-m", "rnj_agent.runtime.server", "--model", model]
    argv += ["--port", "0", "--ready-file", str(ready_file), "--context", str(context)]
    argv += ["--kv-memory-gib", str(kv_memory_gib)]
    with (folder / "server.log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            yield SoakServer(process, *_wait_until_ready(process, ready_file))
        finally:
            _end(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes], ready_file: Path
) -> tuple[ServerRecord, str]:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        record = read_record(ready_file)
        if record is None:
            continue
        url = record.base_url.removesuffix("/v1") + "/health"
        with contextlib.suppress(httpx.TransportError):
            health = httpx.get(url, trust_env=False, timeout=10.0)
            if health.status_code == 200:
                return record, health.json()["model"]
    raise SystemExit(f"The server did not start; see {ready_file.with_name('server.log')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT_S)
            return
        process.kill()
