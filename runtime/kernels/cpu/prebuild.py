"""Builds the kernels ahead, for images and packages that come without a C compiler.

    python -m rnj_agent.runtime.kernels.cpu.prebuild [FOLDER]

One library for each instruction set that the compiler here can build for; where FOLDER is not
given, they go beside the program, where ``open_library`` finds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rnj_agent.runtime.kernels.cpu.compiler import (
    INSTALL_HINT,
    CompilerError,
    find_compiler,
)
from rnj_agent.runtime.kernels.cpu.isa import COMPILER_FLAGS
from rnj_agent.runtime.kernels.cpu.library_cache import PREBUILT, c_sources, prebuilt_name


def prebuild(folder: Path) -> list[Path]:
    """Build them; the files.

    Raises:
        CompilerError: there is no compiler, or it fails.
    """
    compiler = find_compiler()
    if compiler is None:
        raise CompilerError("there is no C compiler.", hint=INSTALL_HINT)
    folder.mkdir(parents=True, exist_ok=True)
    libraries: list[Path] = []
    for isa in COMPILER_FLAGS:
        libraries.append(folder / prebuilt_name(isa))
        compiler.build(c_sources(), libraries[-1], isa)
    return libraries


def main() -> None:
    for path in prebuild(Path(sys.argv[1]) if len(sys.argv) > 1 else PREBUILT):
        print(path)


if __name__ == "__main__":
    main()
