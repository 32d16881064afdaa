"""A shell in the container that runs one command line after another.

Asking the engine for a new process costs it some tenths of a second of CPU; asking a shell that is
there costs a fork. The shell belongs to the command user, so a command can kill it, as it can kill
anything of its own: then its stream ends, and the next command gets a new one.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

from rnj_agent.sandbox.docker_exec import DockerExec
from rnj_agent.sandbox.errors import SandboxStartError
from rnj_agent.sandbox.process import Chunk, Process

if TYPE_CHECKING:
    from docker.models.containers import Container

_READY: Final = b"ready"
_STATUS_BYTES: Final = 3
_KILLED: Final = 137


class Attendant:
    """One program at a time: the next may be started when the last one's ``close`` was called.

    Args:
        container: where.
        user: ``uid:gid``.

    Raises:
        SandboxLostError: the container or the engine is gone.
        SandboxStartError: no bash in there.
    """

    def __init__(self, container: Container, user: str) -> None:
        script = resources.files("rnj_agent.sandbox.scripts") / "attend.sh"
        argv = ["bash", "-c", script.read_text(encoding="utf-8"), "bash"]
        self._exec = DockerExec(container, user, argv)
        self._running: AttendedProcess | None = None
        said = b""
        while said != _READY:
            chunk = self._exec.read()
            if chunk is None:
                self._exec.close()
                raise SandboxStartError(f"no shell starts: {said.decode('utf-8', 'replace')}")
            said += chunk.data

    @property
    def is_idle(self) -> bool:
        """Whether another program can be started."""
        is_free = self._running is None or self._running.has_ended
        return is_free and not self._exec.is_over()

    def start(self, argv: Sequence[str]) -> AttendedProcess:
        """Raises: OSError: the shell has gone."""
        assert self.is_idle
        self._running = AttendedProcess(self._exec, argv)
        return self._running

    def close(self) -> None:
        """End the shell, and what it runs."""
        self._exec.close()


class AttendedProcess:
    """Implements ``Process``."""

    def __init__(self, stream: Process, argv: Sequence[str]) -> None:
        self._stream = stream
        token = secrets.token_hex(16)
        self._ends = {False: _End(token), True: _End(token)}
        self._is_fed = False
        self._is_lost = False
        words = [token, str(len(argv)), *argv]
        stream.write(b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words))

    @property
    def has_ended(self) -> bool:
        """Whether its shell is there and waits for the next one."""
        return self._is_fed and not self._is_lost and self._are_over

    @property
    def _are_over(self) -> bool:
        return all(end.status is not None for end in self._ends.values())

    def write(self, data: bytes) -> None:
        if data:
            self._stream.write(b"%d\n" % len(data) + data)

    def close_stdin(self) -> None:
        if not self._is_fed:
            self._is_fed = True
            with contextlib.suppress(OSError):
                self._stream.write(b"0\n")

    def read(self) -> Chunk | None:
        while not self._are_over and not self._is_lost:
            chunk = self._stream.read()
            if chunk is None:
                self._is_lost = True
            elif data := self._ends[chunk.is_control].feed(chunk.data):
                return Chunk(data, chunk.is_control)
        for is_control, end in self._ends.items():
            if rest := end.take_rest():
                return Chunk(rest, is_control)
        return None

    def wait(self) -> int:
        status = self._ends[True].status
        return _KILLED if status is None else status

    def close(self) -> None:
        self.close_stdin()
        if not self.has_ended:
            self._stream.close()

    def kill(self) -> None:
        """As ``DockerExec.kill``; the shell goes, too."""
        self._stream.kill()


class _End:
    """Finds the mark behind one stream's output, and keeps it from the reader."""

    def __init__(self, token: str) -> None:
        self._mark = b"\0" + token.encode()
        self._held = b""
        self.status: int | None = None

    def feed(self, data: bytes) -> bytes:
        """What of it is output for certain."""
        held = self._held + data
        at = held.find(self._mark)
        if at < 0:
            at = len(held) - self._num_begun(held)
        elif len(held) >= at + len(self._mark) + _STATUS_BYTES:
            self.status = int(held[at + len(self._mark) :][:_STATUS_BYTES])
        output, self._held = held[:at], held[at:]
        return output

    def take_rest(self) -> bytes:
        """What was held back and turned out to be no mark."""
        rest, self._held = self._held, b""
        return rest if self.status is None else b""

    def _num_begun(self, held: bytes) -> int:
        """How many bytes at the end may be the beginning of the mark."""
        longest = min(len(self._mark), len(held))
        return next((n for n in range(longest, 0, -1) if self._mark.startswith(held[-n:])), 0)
