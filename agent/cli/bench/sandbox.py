"""What a sandbox costs on this machine: start, one command, output, copying in, end."""

from __future__ import annotations

import io
import statistics
import tarfile
import time
from typing import Final

from rnj_agent.agent.assembly import open_sandbox
from rnj_agent.agent.cli.terminal import say
from rnj_agent.agent.config import Config

_NUM_COMMANDS: Final = 20
_NUM_FILES: Final = 1000
_FILE_BYTES: Final = 4096
_OUTPUT_MIB: Final = 100


async def measure(config: Config) -> dict[str, float | str]:
    """Figures by name; the unit is in the name.

    Raises:
        SandboxError: there is none, or it failed.
    """
    begun = time.perf_counter()
    sandbox = await open_sandbox(config, session_id="bench", say=say)
    chosen = time.perf_counter()
    async with sandbox:
        started = time.perf_counter()
        durations_s: list[float] = []
        for _ in range(_NUM_COMMANDS):
            before = time.perf_counter()
            await sandbox.execute("true")
            durations_s.append(time.perf_counter() - before)
        before = time.perf_counter()
        await sandbox.execute(f"head -c {_OUTPUT_MIB}M /dev/zero | tr '\\0' x", timeout_s=120)
        output_s = time.perf_counter() - before
        archive = _archive()
        before = time.perf_counter()
        await sandbox.put_archive(archive)
        copy_s = time.perf_counter() - before
        ended = time.perf_counter()
    return {
        "sandbox": f"{sandbox.info.kind} ({sandbox.info.detail})",
        "choose and sweep, s": chosen - begun,
        "start, s": started - chosen,
        "command, median s": statistics.median(durations_s),
        "command, worst s": max(durations_s),
        "output, MiB/s": _OUTPUT_MIB / output_s,
        "copy in 1000 files, s": copy_s,
        "end, s": time.perf_counter() - ended,
    }


def _archive() -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(_NUM_FILES):
            member = tarfile.TarInfo(f"folder{number % 10}/file{number}.py")
            member.size = _FILE_BYTES
            archive.addfile(member, io.BytesIO(b"x" * _FILE_BYTES))
    buffer.seek(0)
    return buffer
