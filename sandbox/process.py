"""One process tree inside a sandbox, and the local kind of it.

All calls block and are made from worker threads; ``kill`` may come from another thread at any
time. It knows nothing of shells or of what is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, Protocol, TypeVar

from rnj_agent.sandbox.errors import SandboxError

CHUNK_BYTES: Final = 256 * 1024

T = TypeVar("T")


class Chunk(NamedTuple):
    data: bytes
    is_control: bool
    """Whether it came on stderr, which carries the supervisor's records."""


class Process(Protocol):
    def write(self, data: bytes) -> None:
        """To its stdin.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        ...

    def close_stdin(self) -> None: ...

    def read(self) -> Chunk | None:
        """What it writes next; None once it has ended."""
        ...

    def wait(self) -> int:
        """Its exit status, after ``read`` gave None: 128 + n where signal n ended it."""
        ...

    def close(self) -> None:
        """Give back what it holds, after ``read`` gave None. Only ``kill`` may come after it."""
        ...

    def kill(self) -> None:
        """End it and everything that it started. ``read`` gives None soon after."""
        ...


Spawn = Callable[[Sequence[str]], Awaitable[Process]]
"""Starts a command line inside the sandbox.

Raises:
    SandboxLostError: the sandbox is gone.
"""


async def start(spawn: Spawn, pool: ThreadPoolExecutor, argv: Sequence[str]) -> Process:
    """Start ``argv``; a cancellation meanwhile ends it and is then raised."""
    starting = asyncio.ensure_future(spawn(argv))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(SandboxError):
            process = await to_the_end(starting)
            loop = asyncio.get_running_loop()
            await to_the_end(loop.run_in_executor(pool, _discard, process))
        raise


async def to_the_end(work: Awaitable[T]) -> T:
    """Wait for ``work`` even if this task is cancelled, or cancelled again, meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


def _discard(process: Process) -> None:
    process.kill()
    while process.read() is not None:
        pass
    process.close()


class LocalProcess:
    """A child of this process, started in the event loop's thread.

    Bubblewrap asks the kernel to kill it with its parent, and for that the parent is the thread
    that made it: a worker thread might end too early.

    Args:
        argv: the command line.
        env: its whole environment.
        kill: ends it, and what would not end with it.
        end_rest: called once it has ended, and on kill, to end what it left behind.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        kill: Callable[[int], None] = lambda pid: os.kill(pid, signal.SIGKILL),
        end_rest: Callable[[], None] | None = None,
    ) -> None:
        self._kill = kill
        self._end_rest = end_rest
        self._popen = subprocess.Popen(
            argv,
            env=env,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        popen = self._popen
        assert popen.stdin is not None
        assert popen.stdout is not None
        assert popen.stderr is not None
        self._stdin, self._stdout, self._stderr = popen.stdin, popen.stdout, popen.stderr
        self._exited = os.pidfd_open(popen.pid)
        self._poll = select.poll()
        for stream in (self._stdout.fileno(), self._stderr.fileno(), self._exited):
            self._poll.register(stream, select.POLLIN)
        self._num_open = 2
        self._has_ended = False

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._stdin.write(view) :]

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()

    def read(self) -> Chunk | None:
        while self._num_open:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._exited:
                    self._poll.unregister(descriptor)
                    self._end()
                    self._has_ended = True
                elif data := os.read(descriptor, CHUNK_BYTES):
                    return Chunk(data, descriptor == self._stderr.fileno())
                else:
                    self._poll.unregister(descriptor)
                    self._num_open -= 1
        if not self._has_ended:  # it closed its output before it ended
            self._popen.wait()
            self._end()
        return None

    def wait(self) -> int:
        status = self._popen.wait()
        return status if status >= 0 else 128 - status

    def close(self) -> None:
        self._popen.wait()
        self.close_stdin()
        self._stdout.close()
        self._stderr.close()
        os.close(self._exited)

    def kill(self) -> None:
        if self._popen.poll() is None:
            self._kill(self._popen.pid)
        self._end()

    def _end(self) -> None:
        if self._end_rest is not None:
            self._end_rest()
