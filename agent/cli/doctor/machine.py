"""The machine: Python, processor, memory, disk, GPU and git."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from rnj_agent.agent.cli.doctor.check import Check

_GIB: Final = 1024**3
_LOW_MEMORY_GIB: Final = 4.0
"""The default model takes 1.1 GB, its context and PyTorch about as much again."""
_LOW_DISK_GIB: Final = 5.0
_GPU_PROBE: Final = """
import torch
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        print(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
"""


def check_python() -> Check:
    return Check(
        name="python", status="ok", detail=f"{platform.python_version()} at {sys.executable}"
    )


def check_processor() -> Check:
    from rnj_agent.runtime.machine import num_physical_cores

    num_cores = num_physical_cores()
    features = _cpu_features()
    detail = f"{num_cores} cores, {platform.machine()}{', ' if features else ''}{features}"
    if num_cores < 2:
        return Check(name="processor", status="warning", detail=f"{detail}: the model will be slow")
    return Check(name="processor", status="ok", detail=detail)


def _cpu_features() -> str:
    """The instruction sets that matter to the runtime, where Linux tells them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    return " ".join(flag for flag in wanted if flag in flags)


def check_memory() -> Check:
    from rnj_agent.runtime.machine import available_memory_bytes

    available_gib = available_memory_bytes() / _GIB
    detail = f"{available_gib:.1f} GiB available"
    if available_gib < _LOW_MEMORY_GIB:
        return Check(
            name="memory",
            status="warning",
            detail=f"{detail}: the default model needs about {_LOW_MEMORY_GIB:.0f} GiB",
            hint="close other programs, or use a server elsewhere: --endpoint URL",
        )
    return Check(name="memory", status="ok", detail=detail)


def check_disk(home: Path) -> Check:
    """Room for models and images, on the disk that ``home`` is or will be on."""
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free_gib = shutil.disk_usage(existing).free / _GIB
    detail = f"{free_gib:.1f} GiB free at {home} (models and images)"
    if not os.access(existing, os.W_OK):
        return Check(
            name="disk",
            status="missing",
            detail=f"{existing} is not writable",
            hint="export RNJ_HOME=/a/folder/of/yours",
        )
    if free_gib < _LOW_DISK_GIB:
        return Check(
            name="disk",
            status="warning",
            detail=detail,
            hint="df -h; or export RNJ_HOME=/a/larger/disk",
        )
    return Check(name="disk", status="ok", detail=detail)


def check_gpu() -> Check:
    """Asks PyTorch, in a process of its own, and only where there is a device at all."""
    if not any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")):
        return Check(name="gpu", status="ok", detail="none: models run on the processor")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _GPU_PROBE],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return Check(
            name="gpu", status="warning", detail="PyTorch did not answer in 60 s", hint="nvidia-smi"
        )
    devices = "; ".join(done.stdout.split("\n")[:-1])
    if not devices:
        return Check(
            name="gpu",
            status="warning",
            detail="there is a device, but PyTorch does not see it",
            hint="nvidia-smi; python -m torch.utils.collect_env",
        )
    return Check(name="gpu", status="ok", detail=devices)


def check_git() -> Check:
    path = shutil.which("git")
    if path is None:
        return Check(
            name="git",
            status="missing",
            detail="not found",
            hint="sudo apt-get install -y git",
        )
    done = subprocess.run(
        [path, "--version"], check=False, capture_output=True, text=True, timeout=10
    )
    return Check(name="git", status="ok", detail=done.stdout.strip())
