"""A deterministic sandbox in memory: scripted results by command, and a dict for a file system.

It ships for tests and demonstrations of whatever sits on top of a sandbox. It does not run
anything, does not expand paths and knows no permissions.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from rnj_agent.sandbox.base import ExecResult, OnOutput, SandboxInfo
from rnj_agent.sandbox.errors import SandboxError, SandboxFileError, SandboxFileMissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeReply:
    """What commands that match ``pattern`` come to."""

    pattern: str
    """Regular expression, searched for in the command."""
    output: str = ""
    exit_code: int = 0
    timed_out: bool = False
    cwd: str = ""
    """The directory the command ends in; empty: the one it started in."""
    delay_s: float = 0.0
    """Real time that it takes, so that cancellation and timeouts can be tested."""
    writes: tuple[tuple[str, bytes], ...] = ()
    """(path, content) pairs that the command leaves in the file system."""
    error: SandboxError | None = None
    """Raised in place of a result."""
    times: int | None = None
    """How often this reply serves; None: always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCommand:
    """One recorded call of ``execute``."""

    command: str
    cwd: str
    timeout_s: float
    env: tuple[tuple[str, str], ...]


class FakeSandbox:
    """Answers each command with the first reply whose pattern matches and is not used up.

    Args:
        replies: in order of precedence.
        default: what an unmatched command comes to: by default success without output.
        files: the file system at the start, by absolute path.
    """

    def __init__(
        self,
        replies: Iterable[FakeReply] = (),
        *,
        default: FakeReply | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.commands: list[FakeCommand] = []
        self.cancelled: list[str] = []
        self.files: dict[str, bytes] = dict(files or {})
        self.entered = False
        self._replies = [*replies, default or FakeReply(pattern="")]
        self._uses = [0] * len(self._replies)
        self._cwd = self.workdir

    @property
    def info(self) -> SandboxInfo:
        return SandboxInfo(kind="fake", network=False, detail="in memory")

    @property
    def workdir(self) -> str:
        return "/workspace"

    @property
    def state_dir(self) -> str:
        return "/state"

    async def __aenter__(self) -> Self:
        self.entered = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.entered = False

    async def execute(
        self,
        command: str,
        *,
        cwd: str | None = None,
        timeout_s: float = 60.0,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        start = cwd or self._cwd
        self.commands.append(
            FakeCommand(
                command=command,
                cwd=start,
                timeout_s=timeout_s,
                env=tuple(sorted((env or {}).items())),
            )
        )
        reply = self._choose(command)
        timed_out = reply.timed_out or reply.delay_s > timeout_s
        await self._sleep(command, min(reply.delay_s, timeout_s))
        if reply.error is not None:
            raise reply.error
        if on_output is not None and reply.output:
            on_output(reply.output)
        self.files.update(reply.writes)
        end = reply.cwd or start
        if cwd is None:
            self._cwd = end
        return ExecResult(
            exit_code=124 if timed_out else reply.exit_code,
            output=reply.output,
            output_bytes=len(reply.output.encode()),
            truncated=False,
            full_output_path="",
            timed_out=timed_out,
            duration_s=timeout_s if timed_out else reply.delay_s,
            cwd=end,
        )

    async def put_archive(self, archive: IO[bytes], directory: str | None = None) -> None:
        try:
            with tarfile.open(fileobj=archive, mode="r|") as tar:
                for member in filter(tarfile.TarInfo.isfile, tar):
                    data = tar.extractfile(member)
                    assert data is not None
                    path = posixpath.join(directory or self.workdir, member.name)
                    self.files[posixpath.normpath(path)] = data.read()
        except tarfile.TarError as exc:
            raise SandboxFileError(f"the archive is broken: {exc}") from exc

    async def read_file(self, path: str, *, max_bytes: int = 64 * 1024**2) -> bytes:
        data = self.files.get(self._absolute(path))
        if data is None:
            raise SandboxFileMissingError(f"no such file: {path}")
        if len(data) > max_bytes:
            raise SandboxFileError(f"{path} is larger than {max_bytes} bytes")
        return data

    async def write_file(self, path: str, data: bytes) -> None:
        self.files[self._absolute(path)] = data

    def _absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.workdir, path))

    def _choose(self, command: str) -> FakeReply:
        for index, reply in enumerate(self._replies):
            spent = reply.times is not None and self._uses[index] >= reply.times
            if not spent and re.search(reply.pattern, command, re.DOTALL):
                self._uses[index] += 1
                return reply
        return FakeReply(pattern="")

    async def _sleep(self, command: str, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            self.cancelled.append(command)
            raise
