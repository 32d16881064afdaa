"""The Sandbox protocol: run a command, put files in, read files out.

The repository is copied in and only a patch comes out. Nothing here falls back to the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Protocol, Self

OnOutput = Callable[[str], None]
"""Called with decoded output as it arrives. Must be quick and must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """What became of one command."""

    exit_code: int
    """The command's status; 124 if its time was up, 128 + n if signal n ended it."""
    output: str
    """stdout and stderr merged, as UTF-8 with replacement: whole, or the head and the tail joined
    by one line that says how much is left out. Never longer than the sandbox's memory bound."""
    output_bytes: int
    """How much the command really wrote."""
    truncated: bool
    """Whether ``output`` lacks a middle."""
    full_output_path: str
    """Where, inside the sandbox, the whole output lies; empty where ``output`` is whole."""
    timed_out: bool
    duration_s: float
    cwd: str
    """The directory the command ended in; the next command starts there unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxInfo:
    """What a person wants to know about the sandbox in use."""

    kind: str
    """``docker``, ``bubblewrap`` or ``host``."""
    network: bool
    """Whether commands reach the network."""
    detail: str
    """Image and engine version, or the binary in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """Bounds on what commands may use together."""

    memory_bytes: int = 4 * 1024**3
    num_pids: int = 512
    num_cpus: float | None = None
    """None: all that the machine has."""
    disk_bytes: int = 8 * 1024**3
    """Bound on a single file and on tmpfs mounts, where the implementation can hold it."""
    output_bytes: int = 32 * 1024**2
    """How much of one command's output is kept on disk inside the sandbox."""


class Sandbox(Protocol):
    """A place where commands run that is not the user's machine.

    Used as an async context manager: entered, it is up; left, nothing of it remains.
    """

    @property
    def info(self) -> SandboxInfo: ...

    @property
    def workdir(self) -> str:
        """Absolute path, inside the sandbox, of the copy of the repository."""
        ...

    @property
    def state_dir(self) -> str:
        """Absolute path, inside the sandbox and outside ``workdir``, for our own files."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def execute(
        self,
        command: str,
        *,
        cwd: str | None = None,
        timeout_s: float = 60.0,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        """Run ``command`` in bash.

        A failure, a flood or a timeout is a result. When it returns (or is cancelled) no process
        that the command started is left, whatever it did to hide.

        Args:
            command: any bash program text.
            cwd: where to start; None continues where the last command ended, with the variables
                that it exported. A command with a directory of its own stands apart: it sees no
                such variables and the next command does not continue from it.
            timeout_s: seconds of wall time until everything is killed.
            on_output: receives decoded output as it arrives.
            env: variables for this command alone; then what it exports is not carried on.

        Raises:
            SandboxLostError: the sandbox itself is gone.
        """
        ...

    async def put_archive(self, archive: IO[bytes], directory: str | None = None) -> None:
        """Unpack an uncompressed tar stream into ``directory`` (default: ``workdir``).

        Raises:
            SandboxFileError: no space, or a broken archive.
        """
        ...

    async def read_file(self, path: str, *, max_bytes: int = 64 * 1024**2) -> bytes:
        """Read one file.

        Raises:
            SandboxFileError: missing, not a regular file, or larger than ``max_bytes``.
        """
        ...

    async def write_file(self, path: str, data: bytes) -> None:
        """Write one file, making its folders, keeping an existing file's mode.

        Raises:
            SandboxFileError: no space, or not writable.
        """
        ...
