"""Runs the processor's kernels' own tests with AddressSanitizer and UBSan: minutes.

    python -m tests.runtime.kernels.sanitize [avx512|avx2|plain ...]

The interpreter itself is not built for them, so their runtime is loaded before it; what torch
allocates has guarded ends then, and a kernel that reads or writes beyond them stops the run. Not a
test of the suite because of how long compiling takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnj_agent.runtime.kernels.cpu import compiler
from rnj_agent.runtime.kernels.cpu.isa import best_isa, cpu_flags
from tests.runtime.kernels.cpu_isas import ISAS

FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CHILD = "RNJ_SANITIZED_CHILD"
HERE = Path(__file__).parent


def run_child(isa: str) -> int:
    """This program again, with the sanitizers' runtime."""
    runtime = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    )
    environment = {
        **os.environ,
        CHILD: "1",
        "RNJ_ISA": isa,  # of the tests that take the kernels as a model does
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command = [sys.executable, "-m", "tests.runtime.kernels.sanitize", isa]
    return subprocess.run(command, check=False, env=environment).returncode


def run_tests(isa: str) -> int:
    """In this process, with kernels that are compiled for it."""
    compiler.COMMON_FLAGS = (*(flag for flag in compiler.COMMON_FLAGS if flag != "-O3"), *FLAGS)  # pyright: ignore[reportConstantRedefinition, reportAttributeAccessIssue] - the build has no other door
    tests = [str(path) for path in HERE.glob("test_cpu_*.py") if "library" not in path.name]
    tests.append(str(HERE.parent / "test_cpu_layers.py"))
    chosen = f"{isa} or test_cpu_layers"
    return pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-k", chosen, *tests])


if __name__ == "__main__":
    isas = sys.argv[1:] or list(ISAS[ISAS.index(best_isa(cpu_flags())) :])
    run = run_tests if os.environ.get(CHILD) else run_child
    sys.exit(int(any(run(isa) for isa in isas)))  # a signal is a negative number
