"""Finds, starts and stops the bundled runtime's server: one per model and context, shared by all.

The one module of ``agent`` that knows the runtime; the model itself lives in the child process. The
server writes its own record (``runtime.server.ready_file``), so an agent that is killed while it
starts one leaves nothing that the next agent cannot find.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.runtime.catalogue import CATALOGUE
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.home import rnj_home
from rnj_agent.runtime.hub import resolve
from rnj_agent.runtime.server.ready_file import (
    ServerRecord,
    is_running,
    process_start_time,
    read_record,
)

IDLE_EXIT_S = 900.0
BIND_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 8.0
GOING_S = 3.0
POLL_S = 0.1
NUM_LOG_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEndpoint:
    """Where a running local server answers."""

    base_url: str
    api_key: str
    model: str
    """As the server knows it."""
    pid: int
    start_time: int
    """See ``ServerRecord.start_time``."""
    log_path: Path

    def is_gone(self) -> bool:
        """Whether that process has ended; also buries it, if it was ours."""
        return not _is_child_running(self.pid) or (
            self.start_time not in (0, process_start_time(self.pid))
        )

    async def is_going(self) -> bool:
        """``is_gone``, now or in a moment: connections break a little before their process ends."""
        for _ in range(int(GOING_S / POLL_S)):
            if self.is_gone():
                return True
            await asyncio.sleep(POLL_S)
        return self.is_gone()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """The files of one server: its record, its lock and its log."""

    model: str
    """A name of the catalogue, or an absolute path."""
    context: int | None

    @property
    def name(self) -> str:
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", Path(self.model).name)[:40]
        digest = hashlib.sha256(f"{self.model}\n{self.context}".encode()).hexdigest()[:10]
        return f"{readable}-{digest}"

    @property
    def record_path(self) -> Path:
        return _servers_folder() / f"{self.name}.json"

    @property
    def lock_path(self) -> Path:
        return _servers_folder() / f"{self.name}.lock"

    @property
    def log_path(self) -> Path:
        return rnj_home() / "logs" / f"server-{self.name}.log"


async def ensure_server(
    model: str,
    *,
    context: int | None = None,
    progress: Callable[[str], None],
    idle_exit_s: float = IDLE_EXIT_S,
) -> LocalEndpoint:
    """Return a server that has this model loaded; start one where none runs.

    Args:
        model: a name of the catalogue, or a path.
        context: tokens of prompt and reply together; None: the server's default.
        progress: is told in lines for a person what takes so long.
        idle_exit_s: how long a server that is started here waits for requests before it exits.

    Raises:
        ModelUnavailableError: no such model, or its server does not start; with its last words.
    """
    slot = _Slot(model=_canonical(model), context=context)
    async with _locked(slot.lock_path):
        record = await _healthy_record(slot)
        if record is None:
            record = await _start(slot, idle_exit_s, progress)
    return await _wait_until_loaded(slot, record, progress)


def list_servers() -> list[ServerRecord]:
    """The servers that run; records of those that died are removed."""
    records: list[ServerRecord] = []
    for path, record in _records():
        if record is not None and record.is_alive:
            records.append(record)
        else:
            path.unlink(missing_ok=True)
    return records


async def stop_server(model: str) -> int:
    """End all servers of a model, whatever their context; returns how many there were."""
    wanted = {model, _canonical(model)}
    records = [record for record in list_servers() if record.model in wanted]
    for record in records:
        await _end(record)
    return len(records)


def _canonical(model: str) -> str:
    """Check that the model is there before a process is started for it."""
    try:
        path = resolve(model)
    except RnjRuntimeError as exc:
        raise ModelUnavailableError(exc.message, hint=exc.hint) from exc
    return model if model in CATALOGUE else str(path)


def _servers_folder() -> Path:
    return rnj_home() / "servers"


def _records() -> Iterator[tuple[Path, ServerRecord | None]]:
    for path in sorted(_servers_folder().glob("*.json")):
        yield path, read_record(path)


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncGenerator[None, None]:
    """Held while a server is looked for and started; the system frees it if this process dies."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(POLL_S)
        yield


async def _healthy_record(slot: _Slot) -> ServerRecord | None:
    """The running server of this slot; what is dead or deaf is swept."""
    record = read_record(slot.record_path)
    if record is None:
        return None
    if record.is_alive:
        if await _answers(record):
            return record
        await _end(record)
    slot.record_path.unlink(missing_ok=True)
    return None


async def _answers(record: ServerRecord) -> bool:
    """Whether it is our server that answers there: it knows the key. Restarts its idle time."""
    response = await _get(record, "/v1/models", timeout_s=ANSWER_TIMEOUT_S)
    return response is not None and response[0] in {200, 503}


async def _start(slot: _Slot, idle_exit_s: float, progress: Callable[[str], None]) -> ServerRecord:
    progress(f"Starting the local server for {slot.model}")
    pid = _spawn(slot, idle_exit_s)
    for _ in range(int(BIND_TIMEOUT_S / POLL_S)):
        record = read_record(slot.record_path)
        if record is not None and record.is_alive:
            return record
        if not _is_child_running(pid):
            break
        await asyncio.sleep(POLL_S)
    raise _not_started(slot)


def _spawn(slot: _Slot, idle_exit_s: float) -> int:
    """Start the server in a session of its own: it outlives this process and its terminal."""
    slot.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):  # the last words of a server that died
        slot.log_path.replace(slot.log_path.with_suffix(".old.log"))
    argv = [sys.executable, "-P", "-m", "rnj_agent.runtime.server"]
    argv += ["--model", slot.model, "--port", "0", "--idle-exit-s", str(idle_exit_s)]
    argv += ["--ready-file", str(slot.record_path)]
    if slot.context is not None:
        argv += ["--context", str(slot.context)]
    with slot.log_path.open("wb") as log, Path(os.devnull).open("rb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
        ]
        return os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions, setsid=True)


async def _wait_until_loaded(
    slot: _Slot, record: ServerRecord, progress: Callable[[str], None]
) -> LocalEndpoint:
    told = -1
    while True:
        response = await _get(record, "/health", timeout_s=ANSWER_TIMEOUT_S)
        if response is not None and response[0] == 200:
            return LocalEndpoint(
                base_url=record.base_url,
                api_key=record.api_key,
                model=response[1]["model"],
                pid=record.pid,
                start_time=record.start_time,
                log_path=slot.log_path,
            )
        if not (_is_child_running(record.pid) and record.is_alive):
            raise _not_started(slot)
        if response is not None:
            tenth = int(response[1]["progress"] * 10)
            if tenth > told:
                progress(f"Loading {response[1]['model']}: {10 * tenth} %")
            told = tenth
        await asyncio.sleep(POLL_S)


async def _get(
    record: ServerRecord, path: str, *, timeout_s: float
) -> tuple[int, dict[str, Any]] | None:
    """Status and JSON body; None where nothing sensible answers."""
    import httpx

    url = record.base_url.removesuffix("/v1") + path
    headers = {"Authorization": f"Bearer {record.api_key}"}
    try:
        # No proxy may stand between two processes of one machine. It is plain HTTP: reading the
        # certificates would cost 30 ms of CPU at every poll, while the model loads.
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=timeout_s) as client:
            response = await client.get(url, headers=headers)
        return response.status_code, response.json()
    except (httpx.HTTPError, ValueError):
        return None


async def _end(record: ServerRecord) -> None:
    """SIGTERM, then SIGKILL; only while the pid is still that server's."""
    for sig, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, STOP_TIMEOUT_S)):
        if not record.is_alive:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, sig)
        for _ in range(int(patience_s / POLL_S)):
            if not (_is_child_running(record.pid) and record.is_alive):
                return
            await asyncio.sleep(POLL_S)


def _is_child_running(pid: int) -> bool:
    """Also buries it, if it was ours and is dead."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return is_running(pid)


def _not_started(slot: _Slot) -> ModelUnavailableError:
    """With the log's last lines: the server says there why it could not go on."""
    try:
        lines = slot.log_path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = "\n".join(f"  {line}" for line in lines[-NUM_LOG_LINES:]) or "  (it wrote nothing)"
    return ModelUnavailableError(
        f"The local server for {slot.model} ended before it was ready. Its last words:\n{said}",
        hint=f"The whole log: {slot.log_path}. By hand: rnj-agent serve --model {slot.model}",
    )
