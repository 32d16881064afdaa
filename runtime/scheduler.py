"""One worker thread that runs requests first come, first served, and hands outputs to asyncio.

Not here: what a request computes (``completion.py``, ``engine.py``). No other thread touches the
engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.runtime.completion import CompletionOutput, CompletionRequest
from rnj_agent.runtime.errors import EngineError, RnjRuntimeError

Complete: TypeAlias = Callable[[CompletionRequest], Generator[CompletionOutput, None, None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing came for a while; the request still runs or waits in line."""


class Generation:
    """One submitted request: its outputs as they come, and the way to stop it."""

    def __init__(self, request: CompletionRequest) -> None:
        self.request = request
        self._loop = asyncio.get_running_loop()
        self._outputs: asyncio.Queue[CompletionOutput | RnjRuntimeError | None] = asyncio.Queue()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End it at the next token or prefill chunk; without effect once it has ended."""
        self._cancelled.set()

    async def outputs(
        self, *, heartbeat_s: float | None = None
    ) -> AsyncGenerator[CompletionOutput | Waiting, None]:
        """Yield what comes, and a Waiting whenever nothing came for ``heartbeat_s``.

        Raises:
            RnjRuntimeError: what ended the request, where it did not end by itself.
        """
        while True:
            try:
                async with asyncio.timeout(heartbeat_s):
                    output = await self._outputs.get()
            except TimeoutError:
                yield Waiting()
                continue
            if output is None:
                return
            if isinstance(output, RnjRuntimeError):
                raise output
            yield output

    def deliver(self, output: CompletionOutput | RnjRuntimeError | None) -> None:
        """Called by the worker. None ends the outputs."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._outputs.put_nowait, output)


class Scheduler:
    """First come, first served, one at a time."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete
        self._waiting: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._unfinished: set[Generation] = set()
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()

    @property
    def num_unfinished(self) -> int:
        """Requests that run or wait."""
        return len(self._unfinished)

    def submit(self, request: CompletionRequest) -> Generation:
        """Put a request in line; call it on the event loop that will read the outputs.

        Raises:
            EngineError: the scheduler is closed.
        """
        if self._closed:
            raise EngineError("The server is shutting down.")
        generation = Generation(request)
        self._unfinished.add(generation)
        self._waiting.put(generation)
        return generation

    def close(self, *, timeout_s: float = 10.0) -> None:
        """Cancel everything and wait for the worker to end."""
        self._closed = True
        for generation in tuple(self._unfinished):
            generation.cancel()
        self._waiting.put(None)
        self._worker.join(timeout_s)

    def _work(self) -> None:
        while (generation := self._waiting.get()) is not None:
            try:
                self._run(generation)
            except RnjRuntimeError as exc:
                generation.deliver(exc)
            except Exception as exc:
                logger.exception("A request failed in a way that is our fault")
                generation.deliver(EngineError(f"Internal error: {type(exc).__name__}: {exc}"))
            finally:
                self._unfinished.discard(generation)
                generation.deliver(None)

    def _run(self, generation: Generation) -> None:
        if generation.cancelled:
            return
        with closing(self._complete(generation.request)) as outputs:
            for output in outputs:
                if generation.cancelled:
                    return
                generation.deliver(output)
