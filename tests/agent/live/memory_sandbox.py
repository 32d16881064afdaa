"""A sandbox in memory that keeps states as the real ones do, for many short sessions in a test."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from rnj_agent.sandbox.base import ExecResult, OnOutput
from rnj_agent.sandbox.fake import FakeSandbox


class MemorySandbox(FakeSandbox):
    """Knows ``put NAME TEXT``, ``rm NAME``, ``wait``; takes and restores states of its workdir."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, dict[str, bytes]] = {}
        self.files[f"{self.state_dir}/patch"] = b""
        self.files[f"{self.state_dir}/snapshots.git/scratch/pack"] = b"pack"

    @property
    def work(self) -> dict[str, str]:
        """The copy's files by name."""
        prefix = f"{self.workdir}/"
        return {
            path.removeprefix(prefix): data.decode()
            for path, data in self.files.items()
            if path.startswith(prefix)
        }

    async def execute(
        self,
        command: str,
        *,
        cwd: str | None = None,
        timeout_s: float = 60.0,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecResult:
        name, *words = command.rstrip().rpartition("\n")[2].split(" ")
        output = ""
        match name:
            case "put":
                self.files[f"{self.workdir}/{words[0]}"] = words[1].encode()
            case "rm":
                self.files.pop(f"{self.workdir}/{words[0]}", None)
            case "wait":
                await self._wait(command)
            case "take":
                output = self._take((env or {})["BEFORE"])
            case "restore":
                self._restore((env or {})["WANTED"])
            case "export_pack":
                output = "4\n"
            case _:
                pass
        if on_output is not None and output and not env:
            on_output(output)
        return ExecResult(
            exit_code=0,
            output=output,
            output_bytes=len(output),
            truncated=False,
            full_output_path="",
            timed_out=False,
            duration_s=0.0,
            cwd=cwd or self.workdir,
        )

    async def _wait(self, command: str) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled.append(command)
            raise

    def _take(self, before: str) -> str:
        work = {name: text.encode() for name, text in self.work.items()}
        state = hashlib.sha1(repr(sorted(work.items())).encode()).hexdigest()
        self.states[state] = work
        return f"{state}\n" if state == before else f"{state}\n1 0 0\n"

    def _restore(self, state: str) -> None:
        for name in self.work:
            del self.files[f"{self.workdir}/{name}"]
        for name, data in self.states[state].items():
            self.files[f"{self.workdir}/{name}"] = data
