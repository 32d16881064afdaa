"""Files in and out of a sandbox, by small programs that run inside it.

Whatever a path or an archive does (links, ``..``, devices), it does inside. The host opens
nothing that the sandbox could have touched.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

from rnj_agent.sandbox.errors import SandboxFileError, SandboxFileMissingError
from rnj_agent.sandbox.process import CHUNK_BYTES, Process, Spawn, start, to_the_end

TIMEOUT_S = 600.0
_MESSAGE_BYTES = 4096

_MISSING = 3
"""What ``_READ`` ends with where there is no such file."""

_READ = """
cd -- "$1"
[[ -e $2 ]] || { echo 'no such file' >&2; exit 3; }
[[ -f $2 ]] || { echo 'not a regular file' >&2; exit 1; }
exec head -c "$3" -- "$2"
"""

# Beside the old file first, so that a full disk leaves that one whole. The input is read to its
# end whatever happens: a Docker engine holds up a stream whose reader died for a minute.
_WRITE = """
save() {
  local path part
  cd -- "$1" && path=$(readlink -m -- "$2") && mkdir -p -- "${path%/*}/" || return
  [[ ! -e $path || -f $path ]] || { echo 'not a regular file' >&2; return 1; }
  part=$path.rnj-part
  cat >"$part" && { [[ ! -e $path ]] || chmod --reference="$path" -- "$part"; } &&
    mv -f -- "$part" "$path" && return
  rm -f -- "$part"
  return 1
}
save "$@"
status=$?
cat >/dev/null
exit "$status"
"""

_UNPACK = """
mkdir -p -- "$1" &&
  tar --extract --file=- --directory="$1" --no-same-owner --same-permissions
status=$?
cat >/dev/null
exit "$status"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    status: int
    stdout: bytes
    stderr: str


class Files:
    """Reads and writes files of one sandbox.

    Args:
        spawn: starts a command line inside.
        pool: threads for what blocks: at least three.
        workdir: where relative paths begin.
    """

    def __init__(self, spawn: Spawn, pool: ThreadPoolExecutor, workdir: str) -> None:
        self._spawn = spawn
        self._pool = pool
        self._workdir = workdir

    async def read(self, path: str, *, max_bytes: int) -> bytes:
        outcome = await self._run(_READ, self._workdir, path, str(max_bytes + 1))
        if outcome.status == _MISSING:
            raise SandboxFileMissingError(f"cannot read {path}: {outcome.stderr}")
        if outcome.status != 0:
            raise SandboxFileError(f"cannot read {path}: {outcome.stderr}")
        if len(outcome.stdout) > max_bytes:
            raise SandboxFileError(f"cannot read {path}: it is larger than {max_bytes} bytes")
        return outcome.stdout

    async def write(self, path: str, data: IO[bytes]) -> None:
        outcome = await self._run(_WRITE, self._workdir, path, stdin=data)
        if outcome.status != 0:
            raise SandboxFileError(f"cannot write {path}: {outcome.stderr}")

    async def unpack(self, archive: IO[bytes], directory: str) -> None:
        outcome = await self._run(_UNPACK, directory, stdin=archive)
        if outcome.status != 0:
            raise SandboxFileError(f"cannot unpack into {directory}: {outcome.stderr}")

    async def _run(self, script: str, *args: str, stdin: IO[bytes] | None = None) -> _Outcome:
        loop = asyncio.get_running_loop()
        process = await start(self._spawn, self._pool, ["bash", "-c", script, "bash", *args])
        feeding = loop.run_in_executor(self._pool, _feed, process, stdin)
        collecting = loop.run_in_executor(self._pool, _collect, process)
        try:
            return await asyncio.wait_for(asyncio.shield(collecting), TIMEOUT_S)
        except (TimeoutError, asyncio.CancelledError) as exc:
            await to_the_end(loop.run_in_executor(self._pool, process.kill))
            await to_the_end(collecting)
            if isinstance(exc, TimeoutError):
                raise SandboxFileError(f"no end after {TIMEOUT_S:.0f} s") from exc
            raise
        finally:
            await to_the_end(feeding)
            process.close()


def _feed(process: Process, stdin: IO[bytes] | None) -> None:
    with contextlib.suppress(OSError):  # it ended early: its status says why
        while stdin is not None and (data := stdin.read(CHUNK_BYTES)):
            process.write(data)
    process.close_stdin()


def _collect(process: Process) -> _Outcome:
    stdout, stderr = bytearray(), bytearray()
    while (chunk := process.read()) is not None:
        if not chunk.is_control:
            stdout += chunk.data
        elif len(stderr) < _MESSAGE_BYTES:
            stderr += chunk.data
    text = stderr[:_MESSAGE_BYTES].decode("utf-8", "replace").strip()
    return _Outcome(status=process.wait(), stdout=bytes(stdout), stderr=text)
