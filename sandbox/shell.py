"""Run commands in bash inside a sandbox: the clock, the carried directory and variables.

The same for every sandbox; how a process starts and dies there is its ``Process``. It does not
keep two commands apart that run at once: the sandbox lets them in one after another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from rnj_agent.sandbox.base import ExecResult, OnOutput
from rnj_agent.sandbox.errors import SandboxFileError, SandboxLostError
from rnj_agent.sandbox.files import Files
from rnj_agent.sandbox.output import OutputBuffer
from rnj_agent.sandbox.process import Spawn, start, to_the_end
from rnj_agent.sandbox.run import Run

GRACE_S: Final = 2.0
"""From SIGTERM to SIGKILL."""
MARGIN_S: Final = 3.0
"""How long the supervisor inside may be late before everything is killed from outside."""
LIVE_INTERVAL_S: Final = 0.05
TIMED_OUT: Final = 124
KILLED: Final = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    workdir: str
    state_dir: str
    output_bytes: int
    """How much of one command's output is kept as a file in ``state_dir``."""
    owns_user: bool = False
    """Whether every process that this user may kill in there is the command's."""


class Shell:
    """Args: see ``Files``; ``settings`` differ between the sandboxes."""

    def __init__(
        self, spawn: Spawn, pool: ThreadPoolExecutor, files: Files, settings: ShellSettings
    ) -> None:
        self._spawn = spawn
        self._pool = pool
        self._files = files
        self._settings = settings
        self._cwd = settings.workdir
        self._num_files = 0

    async def execute(
        self,
        command: str,
        *,
        cwd: str | None,
        timeout_s: float,
        on_output: OnOutput | None,
        env: Mapping[str, str] | None,
    ) -> ExecResult:
        """See ``Sandbox.execute``."""
        program = command.encode("utf-8", "replace")
        argv = self._argv(len(program), cwd, timeout_s, env or {})
        started_at = time.monotonic()
        process = await start(self._spawn, self._pool, argv)
        with closing(OutputBuffer(file_bytes=self._settings.output_bytes)) as output:
            run = Run(process=process, program=program, output=output)
            await self._attend(run, started_at + timeout_s + GRACE_S + MARGIN_S, on_output)
            duration_s = time.monotonic() - started_at
            return await self._conclude(run, cwd, timeout_s, duration_s)

    def _argv(
        self, num_bytes: int, cwd: str | None, timeout_s: float, env: Mapping[str, str]
    ) -> Sequence[str]:
        for name in env:
            assert name.isidentifier(), f"not a variable name: {name!r}"
        settings = self._settings
        variables = f"{settings.state_dir}/variables"
        return [
            *("bash", "-c", _script("supervise.sh"), "bash"),
            *(f"{max(timeout_s, 0.001):.3f}", f"{GRACE_S:.3f}"),
            "all" if settings.owns_user else "",
            *(_script("session.sh"), str(num_bytes), cwd or self._cwd, settings.workdir),
            variables if cwd is None else "",
            variables if cwd is None and not env else "",
            *(f"{name}={value}" for name, value in env.items()),
        ]

    async def _attend(self, run: Run, deadline: float, on_output: OnOutput | None) -> None:
        """Hand output on until the command has ended, and see to it that it does."""
        reading = asyncio.get_running_loop().run_in_executor(self._pool, run.drain)
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=LIVE_INTERVAL_S)
                if on_output is not None and (text := run.output.take_live()):
                    on_output(text)
                if not run.was_killed and time.monotonic() > deadline:
                    await self._kill(run)
            reading.result()
            if on_output is not None and (text := run.output.finish_live()):
                on_output(text)
        except asyncio.CancelledError:
            await to_the_end(self._kill(run))
            await to_the_end(reading)
            raise

    async def _kill(self, run: Run) -> None:
        run.was_killed = True
        await asyncio.get_running_loop().run_in_executor(self._pool, run.process.kill)

    async def _conclude(
        self, run: Run, cwd: str | None, timeout_s: float, duration_s: float
    ) -> ExecResult:
        if not run.started and not run.was_killed:
            raise SandboxLostError(f"the sandbox does not run commands any more: {run.complaint}")
        if run.exit_code is None:
            await self._kill(run)  # the supervisor was killed, and may have left others behind
        late = duration_s >= timeout_s and run.exit_code in {TIMED_OUT, KILLED, None}
        timed_out = late or (run.was_killed and duration_s >= timeout_s)
        ended_in = run.cwd or cwd or self._cwd
        if cwd is None:
            self._cwd = ended_in
        path = await self._keep(run.output)
        exit_code = KILLED if run.exit_code is None else run.exit_code
        return ExecResult(
            exit_code=TIMED_OUT if timed_out else exit_code,
            output=run.output.text(),
            output_bytes=run.output.num_bytes,
            truncated=run.output.truncated,
            full_output_path=path,
            timed_out=timed_out,
            duration_s=duration_s,
            cwd=ended_in,
        )

    async def _keep(self, output: OutputBuffer) -> str:
        """Put the whole output where the model can page through it, if there is room."""
        file = output.file()
        if file is None:
            return ""
        self._num_files += 1
        path = f"{self._settings.state_dir}/output-{self._num_files}.txt"
        try:
            await self._files.write(path, file)
        except SandboxFileError:
            return ""
        return path


@cache
def _script(name: str) -> str:
    return (resources.files("rnj_agent.sandbox.scripts") / name).read_text(encoding="utf-8")
