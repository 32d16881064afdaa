"""The one Sandbox over everything that can start a process somewhere: a backend.

A backend knows how a place is made, how a process starts in it and how the place goes away. The
shell, the files and the order of commands are here.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import IO, Protocol, Self

from rnj_agent.sandbox.base import ExecResult, OnOutput, SandboxInfo
from rnj_agent.sandbox.errors import SandboxLostError
from rnj_agent.sandbox.files import Files
from rnj_agent.sandbox.process import Process
from rnj_agent.sandbox.shell import Shell, ShellSettings

NUM_THREADS = 4
"""For one command: reading, writing and killing at the same time, and one to spare."""


class Backend(Protocol):
    """A place where processes run. ``open`` comes first and ``close`` last, in worker threads."""

    @property
    def info(self) -> SandboxInfo: ...

    @property
    def settings(self) -> ShellSettings: ...

    def open(self) -> None:
        """Make the place.

        Raises:
            SandboxUnavailableError: this machine cannot.
            SandboxStartError: it should have worked, but did not.
        """
        ...

    def close(self) -> None:
        """Remove the place and everything in it. Also after ``open`` failed."""
        ...

    async def spawn(self, argv: Sequence[str], pool: ThreadPoolExecutor) -> Process:
        """Start a command line in the place.

        Raises:
            SandboxLostError: the place is gone.
        """
        ...


class BackendSandbox:
    """Implements ``Sandbox``."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._pool = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="rnj-sandbox")
        self._files = Files(self._spawn, self._pool, self.workdir)
        self._shell = Shell(self._spawn, self._pool, self._files, backend.settings)
        self._turn = asyncio.Lock()  # a command's end kills whatever else runs in there
        self._is_open = False

    @property
    def info(self) -> SandboxInfo:
        return self._backend.info

    @property
    def workdir(self) -> str:
        return self._backend.settings.workdir

    @property
    def state_dir(self) -> str:
        return self._backend.settings.state_dir

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._pool, self._backend.open)
        try:
            await asyncio.shield(opening)
        except BaseException:
            await asyncio.wait({opening})
            await self._close()
            raise
        self._is_open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_open:
            self._is_open = False
            await self._close()

    async def execute(
        self,
        command: str,
        *,
        cwd: str | None = None,
        timeout_s: float = 60.0,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        async with self._turn:
            return await self._shell.execute(
                command, cwd=cwd, timeout_s=timeout_s, on_output=on_output, env=env
            )

    async def put_archive(self, archive: IO[bytes], directory: str | None = None) -> None:
        async with self._turn:
            await self._files.unpack(archive, directory or self.workdir)

    async def read_file(self, path: str, *, max_bytes: int = 64 * 1024**2) -> bytes:
        async with self._turn:
            return await self._files.read(path, max_bytes=max_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        async with self._turn:
            await self._files.write(path, io.BytesIO(data))

    async def _spawn(self, argv: Sequence[str]) -> Process:
        if not self._is_open:
            raise SandboxLostError("the sandbox is closed")
        return await self._backend.spawn(argv, self._pool)

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        closing = loop.run_in_executor(self._pool, self._backend.close)
        try:
            await asyncio.shield(closing)
        finally:
            await asyncio.wait({closing})
            self._pool.shutdown(wait=False)
