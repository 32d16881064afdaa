"""The one thread that steps the engine, and the requests of an event loop that it serves.

Requests come in through a queue and go out as outputs on their own event loop; no other thread
touches the engine. Not here: what a pass computes (``engine.py``), what tokens mean
(``completion.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from rnj_agent.runtime.completion import CompletionOutput, CompletionRequest, Reply
from rnj_agent.runtime.engine import Engine, StepOutput
from rnj_agent.runtime.errors import EngineError, RnjRuntimeError
from rnj_agent.runtime.machine import return_freed_memory
from rnj_agent.runtime.outputs import PrefillProgress
from rnj_agent.runtime.sequence import EngineRequest, TokenSequence
from rnj_agent.runtime.stats import EngineCounters, EngineGauges
from rnj_agent.runtime.tokenizer import Tokenizer

DEFAULT_MAX_QUEUE = 64
"""Replies that may wait for a place in the engine."""
RETURN_MEMORY_EVERY_S = 30.0
"""It takes some 10 ms, and the pages that are used again must be made again."""

logger = logging.getLogger(__name__)


class QueueFullError(EngineError):
    """Too many requests wait already; ask again later."""


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
        """End it before the next forward pass; without effect once it has ended."""
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


class _Running:
    """A request in the engine: a sequence and a reply for each of its choices."""

    def __init__(self, generation: Generation, tokenizer: Tokenizer) -> None:
        request = generation.request
        self.generation = generation
        self.replies = [
            Reply(tokenizer, request, index=index) for index in range(request.num_choices)
        ]
        self.sequences: list[TokenSequence] = []

    @property
    def is_finished(self) -> bool:
        return all(reply.is_finished for reply in self.replies)


class Worker:
    """Serves many requests at a time from one thread.

    Args:
        engine: no one else may use it any more.
        tokenizer: of its model.
        max_queue: replies that may wait; beyond it ``submit`` refuses.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, *, max_queue: int = DEFAULT_MAX_QUEUE
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._max_unfinished = engine.options.max_num_seqs + max_queue
        self._inbox: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._running: dict[TokenSequence, tuple[_Running, Reply]] = {}
        self._unfinished: dict[Generation, int] = {}
        """Requests that run or wait, with the number of replies of each."""
        self._lock = threading.Lock()
        self._closed = False
        self._memory_returned_s = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def num_unfinished(self) -> int:
        """Requests that run or wait."""
        return len(self._unfinished)

    @property
    def counters(self) -> EngineCounters:
        """A copy: what is counted goes on in the worker's thread."""
        return replace(self._engine.counters)

    @property
    def gauges(self) -> EngineGauges:
        gauges = self._engine.gauges
        num_replies = sum(tuple(self._unfinished.values()))
        return replace(gauges, num_waiting=max(0, num_replies - gauges.num_running))

    def submit(self, request: CompletionRequest) -> Generation:
        """Put a request in line; call it on the event loop that will read the outputs.

        Raises:
            QueueFullError: too many wait already.
            EngineError: the worker is closed.
        """
        generation = Generation(request)
        with self._lock:
            if self._closed:
                raise EngineError("The server is shutting down.")
            num_unfinished = sum(self._unfinished.values())
            if num_unfinished and num_unfinished + request.num_choices > self._max_unfinished:
                raise QueueFullError(
                    f"{num_unfinished} replies run or wait; the limit is {self._max_unfinished}.",
                    hint="Try again later, or start the server with a larger --max-queue.",
                )
            self._unfinished[generation] = request.num_choices
        self._inbox.put(generation)
        return generation

    def close(self, *, timeout_s: float = 10.0) -> None:
        """Cancel everything and wait for the thread to end."""
        with self._lock:
            self._closed = True
            unfinished = tuple(self._unfinished)
        for generation in unfinished:
            generation.cancel()
        self._inbox.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while self._take_requests():
            self._drop_cancelled()
            self._return_memory()
            try:
                for output in self._engine.step():
                    self._deliver(output)
            except Exception as exc:
                logger.exception("The engine failed in a way that is our fault")
                self._fail_all(EngineError(f"Internal error: {type(exc).__name__}: {exc}"))

    def _return_memory(self) -> None:
        if time.monotonic() - self._memory_returned_s >= RETURN_MEMORY_EVERY_S:
            return_freed_memory()
            self._memory_returned_s = time.monotonic()

    def _take_requests(self) -> bool:
        """All that came in; waits if there is nothing else to do. False: it is time to end."""
        while not self._inbox.empty() or not self._engine.has_work:
            try:
                generation = self._inbox.get(timeout=RETURN_MEMORY_EVERY_S)
            except queue.Empty:
                self._return_memory()
                continue
            if generation is None:
                self._drop_cancelled()
                return False
            self._start(generation)
        return True

    def _start(self, generation: Generation) -> None:
        request = generation.request
        running = _Running(generation, self._tokenizer)
        try:
            for reply in running.replies:
                sequence = self._engine.add(
                    EngineRequest(
                        prompt_ids=request.prompt_ids,
                        params=request.params,
                        grammar=request.grammar,
                        choice=reply.index,
                    )
                )
                running.sequences.append(sequence)
                self._running[sequence] = running, reply
        except RnjRuntimeError as exc:
            self._end(running, exc)

    def _drop_cancelled(self) -> None:
        for running, _ in tuple(self._running.values()):
            if running.generation.cancelled:
                self._end(running)

    def _deliver(self, step_output: StepOutput) -> None:
        sequence, output = step_output
        if sequence not in self._running:  # the reply was over within the same pass
            return
        running, reply = self._running[sequence]
        if isinstance(output, RnjRuntimeError):
            self._end(running, output)
        elif isinstance(output, PrefillProgress):
            if reply.index == 0:
                running.generation.deliver(output)
        else:
            running.generation.deliver(reply.add(output))
            if reply.is_finished:
                self._engine.abort(sequence)
                del self._running[sequence]
            if running.is_finished:
                self._end(running)

    def _end(self, running: _Running, error: RnjRuntimeError | None = None) -> None:
        """Nothing of it is left afterwards, however it ended."""
        for sequence in running.sequences:
            self._engine.abort(sequence)
            self._running.pop(sequence, None)
        with self._lock:
            self._unfinished.pop(running.generation, None)
        if error is not None:
            running.generation.deliver(error)
        running.generation.deliver(None)

    def _fail_all(self, error: EngineError) -> None:
        for running, _ in tuple(self._running.values()):
            self._end(running, error)
