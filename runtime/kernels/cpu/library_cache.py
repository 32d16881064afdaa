"""Where built kernels lie: ``RNJ_HOME/kernels``, named by sources, compiler and instruction set.

Two processes that need the same library build it once: the second waits. A folder that cannot be
written is done without: the library is built for this process alone. Images may bring libraries
that were built ahead (``prebuild``): then no compiler is asked for.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from rnj_agent.runtime.fetch.lock import exclusive
from rnj_agent.runtime.home import rnj_home
from rnj_agent.runtime.kernels.cpu.compiler import (
    INSTALL_HINT,
    Compiler,
    CompilerError,
    compile_flags,
    find_compiler,
)
from rnj_agent.runtime.kernels.cpu.isa import Isa

SOURCES: Final = Path(__file__).parent
PREBUILT: Final = SOURCES / "prebuilt"
_MAX_AGE_DAYS: Final = 90


def open_library(isa: Isa) -> ctypes.CDLL:
    """Find the library, or build it: seconds.

    Raises:
        CompilerError: there is no compiler, or it fails.
    """
    if (prebuilt := PREBUILT / prebuilt_name(isa)).exists():
        return ctypes.CDLL(str(prebuilt))
    folder = rnj_home() / "kernels"
    sources = _sources_hash(isa)
    compiler = find_compiler()
    if compiler is None:
        return _built_earlier(folder, sources, isa)
    path = folder / f"{sources}-{_short_hash(compiler.version)}-{isa}.so"
    try:
        if not path.exists():
            _build_shared(compiler, path, isa)
        return ctypes.CDLL(str(path))
    except OSError:  # read-only, full, or on a disk that nothing may be run from
        return _built_privately(compiler, isa)


def prebuilt_name(isa: Isa) -> str:
    """Of these very sources: others are not taken for them."""
    return f"{_sources_hash(isa)}-{isa}.so"


def _build_shared(compiler: Compiler, path: Path, isa: Isa) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(path.parent / "lock", lambda: None):
        if path.exists():
            return
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            compiler.build(c_sources(), partial, isa)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _remove_old(path.parent)


def _remove_old(folder: Path) -> None:
    """Whoever has one open keeps it; who needs it again builds it again."""
    oldest_s = time.time() - _MAX_AGE_DAYS * 24 * 3600
    for path in folder.glob("*.so"):
        if path.stat().st_mtime < oldest_s:
            path.unlink(missing_ok=True)


def _built_privately(compiler: Compiler, isa: Isa) -> ctypes.CDLL:
    """Nobody needs the file once it is in memory."""
    try:
        with tempfile.TemporaryDirectory(prefix="rnj-kernels-") as folder:
            path = Path(folder) / f"{isa}.so"
            compiler.build(c_sources(), path, isa)
            return ctypes.CDLL(str(path))
    except OSError as exc:
        raise CompilerError(f"there is no folder to build them in: {exc}") from exc


def _built_earlier(folder: Path, sources: str, isa: Isa) -> ctypes.CDLL:
    """By a compiler that is gone, perhaps when the machine's image was made."""
    for path in sorted(folder.glob(f"{sources}-*-{isa}.so")):
        return ctypes.CDLL(str(path))
    raise CompilerError("there is no C compiler.", hint=INSTALL_HINT)


def c_sources() -> list[Path]:
    return sorted(SOURCES.glob("*.c"))


def _sources_hash(isa: Isa) -> str:
    files = [*c_sources(), *sorted(SOURCES.glob("*.h"))]
    parts = [*compile_flags(isa), *(path.read_text(encoding="utf-8") for path in files)]
    return _short_hash("\0".join(parts))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
