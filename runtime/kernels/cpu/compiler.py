"""Finds a C compiler, and has it build the kernels into one shared library."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kernels.cpu.isa import COMPILER_FLAGS, Isa

INSTALL_HINT: Final = "sudo apt-get install -y gcc, or python -m pip install ziglang"
TIMEOUT_S: Final = 300
COMMON_FLAGS: Final = (
    *("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread"),
    # errno is nobody's business here; sums keep the order that they are written in
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
)


class CompilerError(EngineError):
    """The kernels could not be built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    command: tuple[str, ...]
    version: str
    """The first line of what it says of itself."""

    def build(self, sources: list[Path], library: Path, isa: Isa) -> None:
        """Compile and link.

        Raises:
            CompilerError: it failed, with the first of its errors.
        """
        command = [*self.command, *compile_flags(isa), "-o", str(library)]
        command += [*(str(path) for path in sources), "-lm"]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise CompilerError(f"{self.command[0]} did not run: {exc}") from exc
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            error = next((line for line in lines if "error" in line), lines[-1])
            raise CompilerError(f"{self.version} does not compile them: {error}")


def compile_flags(isa: Isa) -> tuple[str, ...]:
    return (*COMMON_FLAGS, *COMPILER_FLAGS[isa])


def find_compiler() -> Compiler | None:
    """``CC``, else the first of cc, gcc, clang and the ziglang package that answers."""
    if command := shlex.split(os.environ.get("CC", "")):
        return _answering(command)
    candidates = [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    if find_spec("ziglang"):
        candidates.append([sys.executable, "-m", "ziglang", "cc"])
    answering = (_answering(command) for command in candidates)
    return next((compiler for compiler in answering if compiler), None)


def _answering(command: list[str]) -> Compiler | None:
    try:
        done = subprocess.run(
            [*command, "--version"], check=False, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return Compiler(command=tuple(command), version=done.stdout.partition("\n")[0].strip())
