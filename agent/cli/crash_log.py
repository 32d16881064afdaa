"""The file that an unexpected exception leaves, for a bug report."""

from __future__ import annotations

import os
import platform
import sys
import traceback as tb
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType


def write_crash_log(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> Path:
    """Write traceback, versions and command line, readable by this user alone.

    Raises:
        OSError: the folder or file cannot be written.
    """
    from rnj_agent import __version__
    from rnj_agent.agent.session import state_dir

    now = datetime.now(UTC)
    folder = state_dir() / "crashes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.log"
    lines = [
        f"rnj-agent {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
        f"{now.isoformat(timespec='seconds')}\n",
        f"{sys.argv}\n\n",
        *tb.format_exception(kind, error, traceback),
    ]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)
    return path
