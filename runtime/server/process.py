"""The server process: binds the port, answers /health, loads the model, serves, ends cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from rnj_agent.runtime.catalogue import CATALOGUE
from rnj_agent.runtime.errors import EngineError, RnjRuntimeError
from rnj_agent.runtime.machine import calm_worker_threads
from rnj_agent.runtime.server.listener import listening_on_path, listening_on_port
from rnj_agent.runtime.server.options import ServeOptions
from rnj_agent.runtime.server.ready_file import (
    ServerRecord,
    process_start_time,
    read_record,
    remove_record,
    write_record,
)

if TYPE_CHECKING:  # they import torch, which takes seconds: the port is bound first
    from starlette.types import ASGIApp

    from rnj_agent.runtime.server.service import ServedModel, Service
    from rnj_agent.runtime.worker import Worker

EXIT_USAGE = 2
"""The options cannot be, or the port is taken."""
EXIT_NO_MODEL = 5
"""The model is missing, broken, or too large for this machine."""

GRACEFUL_SHUTDOWN_S = 5
SECONDS_BETWEEN_LINES = 2.0
"""Of what is announced while a model warms up."""


def serve(options: ServeOptions) -> int:
    """Serve until a signal, an idle exit or a failed load; returns the exit code."""
    with contextlib.ExitStack() as stack:
        try:
            options.check()
            listener = stack.enter_context(_listening(options))
        except RnjRuntimeError as exc:
            _say_error(exc)
            return EXIT_USAGE
        if options.uds is not None:
            _say(f"listening on {options.uds}")
            return asyncio.run(_serve(options, listener, options.api_key))
        port: int = listener.getsockname()[1]
        _say(f"listening on http://{_bracketed(options.host)}:{port}/v1")
        if (other := _running_server(options)) is not None:
            _say(f"process {other.pid} serves {options.model} already")
            return 0
        api_key = options.api_key
        if api_key is None and options.ready_file is not None:
            api_key = secrets.token_urlsafe(32)
        stack.enter_context(_ready_file(options, port, api_key or ""))
        return asyncio.run(_serve(options, listener, api_key))


async def _serve(options: ServeOptions, listener: socket.socket, api_key: str | None) -> int:
    from rnj_agent.runtime.server.app import build_app
    from rnj_agent.runtime.server.service import Service

    service = Service(model_name=_model_name(options.model), aliases=frozenset({options.model}))
    app = build_app(service, api_key=api_key, is_private=options.uds is not None)
    server = _Server(app, service, options.idle_exit_s)
    loading = asyncio.create_task(_load(options, service, server))
    await server.serve(sockets=[listener])
    server.stopping.set()
    return await loading


async def _load(options: ServeOptions, service: Service, server: _Server) -> int:
    """Load the model beside the running server; returns the exit code."""
    progress = _LoadProgress(service, server.stopping)
    service.activity.begin()  # a load is work, too, however long it takes
    try:
        model = await asyncio.to_thread(_load_model, options, progress)
        server.worker = model.worker
        service.is_warming_up = True
        _say(f"warming up {service.model_name}")
        await model.warm_up()
        if server.stopping.is_set():
            return 0
    except RnjRuntimeError as exc:
        if server.stopping.is_set():
            return 0
        _say_error(exc)
        server.should_exit = True
        return EXIT_NO_MODEL
    finally:
        service.activity.end()
    service.model = model
    _say(f"ready: {service.model_name}, {model.max_model_len} tokens of context")
    return 0


def _load_model(options: ServeOptions, progress: _LoadProgress) -> ServedModel:
    calm_worker_threads()
    from rnj_agent.runtime.hub import resolve
    from rnj_agent.runtime.loading import LoadOptions, load
    from rnj_agent.runtime.models.loading import default_device
    from rnj_agent.runtime.server.service import ServedModel

    load_options = LoadOptions(
        context=options.context,
        kv_memory_gib=options.kv_memory_gib,
        kv_dtype=options.kv_dtype,
        device=default_device() if options.device == "auto" else options.device,
        quant=options.quant,
        speculation=options.speculation,
        max_num_seqs=options.max_num_seqs,
    )
    loaded = load(
        resolve(options.model), options=load_options, progress=progress, announce=progress.announce
    )
    _say(loaded.summary)
    return ServedModel(loaded, max_queue=options.max_queue, guided=options.guided)


class _LoadProgress:
    """Tells /health and the terminal how far loading is, and ends it when the server stops."""

    def __init__(self, service: Service, stopping: threading.Event) -> None:
        self._service = service
        self._stopping = stopping
        self._next_tenth = 0
        self._next_line_s = 0.0

    def __call__(self, num_done: int, num_total: int) -> None:
        if self._stopping.is_set():
            raise EngineError("Loading was cancelled.")
        self._service.progress = num_done / max(1, num_total)
        if self._service.progress * 10 >= self._next_tenth:
            self._next_tenth = int(self._service.progress * 10) + 1
            _say(f"loading {self._service.model_name}: {self._service.progress:.0%}")

    def announce(self, line: str) -> None:
        if self._stopping.is_set():
            raise EngineError("Loading was cancelled.")
        if time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + SECONDS_BETWEEN_LINES
            _say(f"{line} for {self._service.model_name}")


class _Server(uvicorn.Server):
    """uvicorn, ended also by idleness, and quick to end: running replies are cancelled."""

    def __init__(self, app: ASGIApp, service: Service, idle_exit_s: float | None) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,  # longer than clients keep their pooled connections
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        )
        super().__init__(config)
        self.stopping = threading.Event()
        self.worker: Worker | None = None
        """Once there is one; closed when the server ends."""
        self._service = service
        self._idle_exit_s = idle_exit_s

    async def on_tick(self, counter: int) -> bool:
        if self._idle_exit_s is not None and self._service.activity.idle_s > self._idle_exit_s:
            _say(f"nobody asked for {self._idle_exit_s:g} s: exiting")
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stopping.set()
        if self.worker is not None:
            await asyncio.to_thread(self.worker.close)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End cleanly with code 0: uvicorn's own handler would raise the signal again."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _listening(options: ServeOptions) -> contextlib.AbstractContextManager[socket.socket]:
    if options.uds is not None:
        return listening_on_path(options.uds)
    return listening_on_port(options.host, options.port)


def _bracketed(host: str) -> str:
    """As a URL has it."""
    return f"[{host}]" if ":" in host else host


def _running_server(options: ServeOptions) -> ServerRecord | None:
    """Another one, started by an agent that died before it knew: one of the two is enough."""
    if options.ready_file is None:
        return None
    record = read_record(options.ready_file)
    return record if record is not None and record.is_alive else None


@contextlib.contextmanager
def _ready_file(options: ServeOptions, port: int, api_key: str) -> Generator[None, None, None]:
    """Tell port and key while the server runs."""
    if options.ready_file is None:
        yield
        return
    record = ServerRecord(
        pid=os.getpid(),
        start_time=process_start_time(os.getpid()),
        port=port,
        api_key=api_key,
        model=options.model,
        context=options.context,
    )
    write_record(options.ready_file, record)
    try:
        yield
    finally:
        remove_record(options.ready_file, pid=record.pid)


def _model_name(model: str) -> str:
    """A catalogue name as it is; of a path, the file's name without its ending."""
    return model if model in CATALOGUE else Path(model).name.removesuffix(".gguf")


def _say_error(error: RnjRuntimeError) -> None:
    _say(f"error: {error.message}")
    if error.hint:
        print(f"  next: {error.hint}", file=sys.stderr, flush=True)


def _say(line: str) -> None:
    print(line.strip(), file=sys.stderr, flush=True)
