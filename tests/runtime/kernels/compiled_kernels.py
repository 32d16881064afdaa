"""Compiles kernels for cards that are not there: Triton needs no GPU for it.

Run as a program, because a process that interprets kernels cannot compile any:

    python -m tests.runtime.kernels.compiled_kernels MODULE

compiles what ``MODULE.compilations()`` yields, and prints one line for each that fails.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SHARED_MEMORY_BYTES = {80: 163 << 10, 86: 99 << 10, 89: 99 << 10, 90: 227 << 10, 120: 99 << 10}
"""That a program may have, by compute capability: CUDA's programming guide, technical
specifications."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    kernel: Any
    """A ``triton.jit`` function."""
    types: Mapping[str, str]
    """Of its parameters, as "*bf16", "i32"; what is here is a multiple of 16, as for real sizes."""
    constants: Mapping[str, object]
    capability: int
    options: Mapping[str, int] = field(default_factory=dict[str, int])

    def failure(self) -> str | None:
        """None: it compiles, and fits into the card's shared memory."""
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource, compile
        from triton.errors import TritonError

        names: list[str] = self.kernel.arg_names
        source = ASTSource(
            fn=self.kernel,
            signature={name: self.types.get(name, "constexpr") for name in names},
            constexprs={(names.index(name),): value for name, value in self.constants.items()},
            attrs={
                (names.index(name),): [["tt.divisibility", 16]]
                for name, kind in self.types.items()
                if kind.startswith("*") or (kind == "i32" and name != "num_rows")
            },
        )
        target = GPUTarget("cuda", self.capability, 32)
        try:
            compiled = compile(source, target=target, options=dict(self.options))
        except (TritonError, RuntimeError) as exc:
            return f"{self}: {exc!r}"
        shared = compiled.metadata.shared
        limit = SHARED_MEMORY_BYTES[self.capability]
        return f"{self}: {shared} bytes of {limit}" if shared > limit else None


def main() -> None:
    compilations: list[Compilation] = list(importlib.import_module(sys.argv[1]).compilations())
    failures = [failure for each in compilations if (failure := each.failure())]
    print("\n".join([*failures, f"{len(compilations)} compiled, {len(failures)} failed"]))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
