"""Commands on the user's own machine, without any isolation: only where a person spelled it out.

Covered: the repository is still a copy; the clock, the output bounds, and the end of what a
command started, found by a variable in its environment.

Not covered: everything else. Commands read and write what the user can, reach the network, and
see the user's environment. A process that drops its environment and leaves its session outlives
its command.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rnj_agent.sandbox.base import SandboxInfo, SandboxLimits
from rnj_agent.sandbox.environment import sandbox_environment
from rnj_agent.sandbox.errors import SandboxLostError, SandboxStartError
from rnj_agent.sandbox.process import LocalProcess, Process
from rnj_agent.sandbox.process_table import all_pids, send
from rnj_agent.sandbox.run_dirs import create_run_dir, remove_run_dir
from rnj_agent.sandbox.shell import ShellSettings

_TAG = "RNJ_COMMAND"
_SWEEP_S = 5.0
_OWN_VARIABLES = ("HOME", "USER", "LOGNAME", "SHELL")


class HostBackend:
    """Implements ``Backend``."""

    def __init__(self, *, limits: SandboxLimits) -> None:
        self._limits = limits
        self._run_dir = create_run_dir()

    @property
    def info(self) -> SandboxInfo:
        return SandboxInfo(
            kind="host", network=True, detail="NO SANDBOX: commands run as you, on this machine"
        )

    @property
    def settings(self) -> ShellSettings:
        return ShellSettings(
            workdir=str(self._run_dir / "workspace"),
            state_dir=str(self._run_dir / "state"),
            output_bytes=self._limits.output_bytes,
        )

    def open(self) -> None:
        try:
            for name in ("workspace", "state"):
                (self._run_dir / name).mkdir()
        except OSError as exc:
            raise SandboxStartError(
                f"cannot make directories in {self._run_dir}: {exc}",
                hint="export TMPDIR=/path/with/room",
            ) from exc

    def close(self) -> None:
        remove_run_dir(self._run_dir)

    async def spawn(self, argv: Sequence[str], pool: ThreadPoolExecutor) -> Process:
        tag = secrets.token_hex(16)
        defaults = sandbox_environment(str(Path.home()))
        own = {name: os.environ[name] for name in _OWN_VARIABLES if name in os.environ}
        env = {**os.environ, **defaults, **own, _TAG: tag}
        try:
            return LocalProcess(argv, env=env, end_rest=lambda: end_tagged(f"{_TAG}={tag}"))
        except OSError as exc:
            raise SandboxLostError(f"cannot start bash: {exc}") from exc


def end_tagged(entry: str) -> None:
    """Kill every process whose environment at its start held ``entry``, until none is left."""
    deadline = time.monotonic() + _SWEEP_S
    while (pids := _tagged(entry.encode())) and time.monotonic() < deadline:
        for pid in pids:
            send(pid, signal.SIGKILL)
        time.sleep(0.01)


def _tagged(entry: bytes) -> list[int]:
    found: list[int] = []
    for pid in all_pids():
        with contextlib.suppress(OSError):  # it ended, or is not ours
            if entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found
