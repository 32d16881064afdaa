"""A program in a pseudo-terminal, as a person has it: keys go in, what it paints is read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_CPUCLOCK_SCHED: Final = 2
"""With a process id above it, Linux's clock of that process (``clock_getcpuclockid``)."""


def keep_bytecode(folder: Path) -> None:
    """Let Python keep what it compiles, as it does for an installed package; start once to fill it.

    A development container may forbid that, and a third of a start is then compiling.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


class Terminal:
    """Runs ``python <arguments>`` in a terminal of its own; times are of ``time.monotonic``."""

    def __init__(self, arguments: Sequence[str], *, columns: int = 120, rows: int = 40) -> None:
        self.started_s = time.monotonic()
        self.num_bytes = 0
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(sys.executable, [sys.executable, *arguments])
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    def send(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str, *, within_s: float) -> float:
        """Seconds until the text is painted.

        Raises:
            TimeoutError: it was not.
        """
        wanted, seen = text.encode(), b""
        asked_s = time.monotonic()
        while (left_s := asked_s + within_s - time.monotonic()) > 0:
            seen = seen[-len(wanted) :] + self._read(left_s)
            if wanted in seen:
                return time.monotonic() - asked_s
        raise TimeoutError(f"{text!r} was not painted within {within_s:g} s")

    def drain(self, for_s: float) -> None:
        """Read what is painted for so long."""
        until_s = time.monotonic() + for_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._read(left_s)

    def _read(self, within_s: float) -> bytes:
        if not select.select([self._descriptor], [], [], within_s)[0]:
            return b""
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError as exc:
            raise TimeoutError("the program has ended") from exc
        self.num_bytes += len(data)
        return data

    def peak_rss_mib(self) -> float:
        """Of the process so far, as Linux counts it."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            kib = next(line for line in lines if line.startswith("VmHWM")).split()[1]
        return int(kib) / 1024

    def cpu_s(self) -> float:
        """Processor time of the process so far, of all its threads."""
        return time.clock_gettime((~self.pid << 3) | _CPUCLOCK_SCHED)
