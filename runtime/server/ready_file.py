"""The file in which a running server tells how to reach it, for those who share it.

It is written once the port is bound, before the model is loaded, and removed on a clean exit.
Its mode is 0600: it holds the key. Imports nothing heavy; clients read it too.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    pid: int
    start_time: int
    """Clock ticks after boot: with the pid it names one process for good. 0: not known."""
    port: int
    api_key: str
    model: str
    """As asked for: a name of the catalogue or a path."""
    context: int | None
    """Tokens asked for; None: the default."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def is_alive(self) -> bool:
        """The process runs and is the one that wrote this; a zombie does not count."""
        return is_running(self.pid) and self.start_time in (0, process_start_time(self.pid))


def write_record(path: Path, record: ServerRecord) -> None:
    """Replace the file in one step, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(record), file)
    os.replace(name, path)


def read_record(path: Path) -> ServerRecord | None:
    """None where there is no file, or not one of ours."""
    try:
        fields = json.loads(path.read_text())
        return ServerRecord(**fields)
    except (OSError, ValueError, TypeError):
        return None


def remove_record(path: Path, *, pid: int) -> None:
    """Remove the file if this process wrote it: another server may have taken its place."""
    record = read_record(path)
    if record is not None and record.pid == pid:
        path.unlink(missing_ok=True)


def process_start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat; 0 where the system has none."""
    stat = _stat_fields(pid)
    return int(stat[19]) if stat else 0


def is_running(pid: int) -> bool:
    stat = _stat_fields(pid)
    if stat:
        return stat[0] not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stat_fields(pid: int) -> list[str]:
    """The fields after the command's name, which may itself hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
