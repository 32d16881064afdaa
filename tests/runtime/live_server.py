"""The HTTP API on a real socket, in a thread of the test process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from rnj_agent.runtime.loading import LoadOptions, load
from rnj_agent.runtime.server.app import build_app
from rnj_agent.runtime.server.listener import listening_on_port
from rnj_agent.runtime.server.service import ServedModel, Service
from rnj_agent.runtime.worker import DEFAULT_MAX_QUEUE

API_KEY = "sk-test"
CONTEXT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    url: str
    """Without a path."""
    service: Service

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def wait_until_idle(self, timeout_s: float = 10.0) -> float:
        """Seconds until no request runs or waits in the engine."""
        begun = time.monotonic()
        while self.service.loaded_model().worker.num_unfinished:
            assert time.monotonic() - begun < timeout_s, "the engine is still busy"
            time.sleep(0.005)
        return time.monotonic() - begun


@contextmanager
def serving(
    service: Service, *, api_key: str | None = API_KEY
) -> Generator[LiveServer, None, None]:
    """Serve until the block is left; the port is any free one."""
    with listening_on_port("127.0.0.1", 0) as listener:
        app = build_app(service, api_key=api_key)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        port: int = listener.getsockname()[1]
        try:
            yield LiveServer(url=f"http://127.0.0.1:{port}", service=service)
        finally:
            if service.model is not None:
                service.model.worker.close()
            server.should_exit = True
            thread.join()


def loaded_service(
    path: Path,
    *,
    name: str,
    context: int | None = CONTEXT,
    max_queue: int = DEFAULT_MAX_QUEUE,
    guided: bool = True,
) -> Service:
    service = Service(model_name=name, aliases=frozenset({str(path)}))
    loaded = load(path, options=LoadOptions(context=context))
    service.model = ServedModel(loaded, max_queue=max_queue, guided=guided)
    return service
