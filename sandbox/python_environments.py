"""The Python environments that a command on this machine may use: ours, and the user's active one.

Only what is needed to import from them is named, never a directory that holds a home.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def python_environments() -> list[Path]:
    """Directories to show read-only, the user's active environment first."""
    named = [os.environ.get("VIRTUAL_ENV", ""), sys.prefix, sys.base_prefix]
    named += [_base_of(Path(named[0]))] if named[0] else []
    found: dict[Path, None] = {}
    for name in filter(None, named):
        for path in (Path(name), Path(name).resolve()):  # links on the way lead to the same place
            if path.is_dir() and not _is_system(path) and not _holds_home(path):
                found[path] = None
    return list(found)


def search_path(environments: list[Path]) -> str:
    """PATH inside the sandbox: the environments' programs before the system's."""
    folders = [str(path / "bin") for path in environments if (path / "bin").is_dir()]
    return ":".join([*folders, *_SYSTEM_PATH])


def _base_of(environment: Path) -> str:
    """Where a virtual environment's own interpreter is installed; empty if it does not say."""
    try:
        lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() == "home":
            return str(Path(value.strip()).parent)
    return ""


def _is_system(path: Path) -> bool:
    return path == Path("/") or path.is_relative_to("/usr")


def _holds_home(path: Path) -> bool:
    home = Path.home()
    return home.is_relative_to(path) or home.resolve().is_relative_to(path)
