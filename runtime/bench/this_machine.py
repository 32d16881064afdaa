"""How a report names the machine it was made on, and what a process took of its memory at most."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_BUSY_LOAD = 0.5
"""Processes of the last minute that wanted to run."""


def describe_machine() -> str:
    """The processor's name, where the system tells it."""
    return f"{_cpu_name() or platform.machine()}, {platform.system()} {platform.release()}"


def busy_note() -> str:
    """Empty where little else runs; a busy machine's figures should not be compared."""
    load = os.getloadavg()[0]
    if load < _BUSY_LOAD:
        return ""
    return f"Other programs ran before this began (load average {load:.1f}): not for comparisons."


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {"python": platform.python_version()}
    for package in ("rnj-agent", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a tree that was never installed
            continue
    return found


def peak_memory_bytes(pid: int) -> int | None:
    """Resident memory at its highest (VmHWM), None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    peaks = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return next(peaks, None)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
