"""Private directories on the host, one for each sandbox that keeps its files there.

All lie in one directory that only this user can enter, each with a record of its owner beside
what the sandbox sees, so that the next start can remove what a crashed run left.
"""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import tempfile
from pathlib import Path

from rnj_agent.sandbox.errors import SandboxStartError
from rnj_agent.sandbox.labels import current_owner, is_gone, parse_owner

_OWNER_FILE = "owner.json"
_OWNER_BYTES = 4096


def run_root() -> Path:
    """The directory of them all, under TMPDIR.

    Raises:
        SandboxStartError: it cannot be made, or is not this user's alone.
    """
    root = Path(tempfile.gettempdir()) / f"rnj-agent-{os.geteuid()}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()
    except OSError as exc:
        raise SandboxStartError(
            f"cannot make {root}: {exc}", hint="export TMPDIR=/path/with/room"
        ) from exc
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise SandboxStartError(
            f"{root} is not a private directory of this user", hint=f"ls -ld {root}"
        )
    return root


def create_run_dir() -> Path:
    """A new directory that bears this process as its owner.

    Raises:
        SandboxStartError: no room, or no rights.
    """
    path = run_root() / secrets.token_hex(8)
    try:
        path.mkdir(mode=0o700)
        (path / _OWNER_FILE).write_text(current_owner().to_json())
    except OSError as exc:
        raise SandboxStartError(
            f"cannot make {path}: {exc}", hint="export TMPDIR=/path/with/room"
        ) from exc
    return path


def remove_run_dir(path: Path) -> None:
    """Remove it, whatever the sandbox put there: any depth, any name, any mode."""
    remove = ["rm", "-rf", "--one-file-system", "--", str(path)]
    if not _succeeds(remove):
        _succeeds(["chmod", "-R", "u+rwX", "--", str(path)])
        _succeeds(remove)


def sweep_run_dirs() -> int:
    """Remove those whose owner is dead; how many that were."""
    abandoned = [path for path in run_root().iterdir() if _is_abandoned(path)]
    for path in abandoned:
        remove_run_dir(path)
    return len(abandoned)


def _succeeds(argv: list[str]) -> bool:
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def _is_abandoned(path: Path) -> bool:
    try:
        with (path / _OWNER_FILE).open("rb") as file:
            owner = parse_owner(file.read(_OWNER_BYTES).decode("utf-8", "replace"))
    except OSError:
        return False  # being made at this moment, or being removed
    return owner is not None and is_gone(owner)
