"""Which instruction set the processor's kernels are compiled for.

| name | what it must have |
|---|---|
| avx512 | AVX-512 F, BW, VL, DQ, VBMI, VNNI and BF16: Zen 4, Sapphire Rapids and later |
| avx2 | AVX2, FMA and F16C: Haswell, Zen and later |
| plain | nothing: C that the compiler vectorises as it can, on any processor |

Libraries are compiled for one of these, not for the very machine: a home folder may be shared.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from rnj_agent.runtime.errors import EngineError

Isa: TypeAlias = Literal["avx512", "avx2", "plain"]

VARIABLE: Final = "RNJ_ISA"
NO_KERNELS: Final = "none"
"""A value of ``RNJ_ISA``: run PyTorch alone."""

_AVX2: Final = frozenset({"avx2", "fma", "f16c"})
_AVX512: Final = _AVX2 | {
    *("avx512f", "avx512bw", "avx512vl", "avx512dq"),
    *("avx512vbmi", "avx512_vnni", "avx512_bf16"),
}
_NEEDED_FLAGS: Final[Mapping[Isa, frozenset[str]]] = MappingProxyType(
    {"avx512": _AVX512, "avx2": _AVX2, "plain": frozenset[str]()}
)
"""As /proc/cpuinfo names them."""

COMPILER_FLAGS: Final[Mapping[Isa, tuple[str, ...]]] = MappingProxyType(
    {
        "avx512": (
            *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vbmi"),
            *("-mavx512vnni", "-mavx512bf16", "-mavx2", "-mfma", "-mf16c"),
            "-mprefer-vector-width=512",
        ),
        "avx2": ("-mavx2", "-mfma", "-mf16c"),
        "plain": (),
    }
)


def chosen_isa() -> Isa | None:
    """``RNJ_ISA``, or the best that the processor has; None: no kernels are wanted.

    Raises:
        EngineError: ``RNJ_ISA`` is no instruction set, or not one of this processor's.
    """
    name = os.environ.get(VARIABLE, "").strip().lower()
    if not name:
        return best_isa(cpu_flags())
    if name == NO_KERNELS:
        return None
    by_name: Mapping[str, Isa] = {known: known for known in _NEEDED_FLAGS}
    isa = by_name.get(name)
    if isa is None:
        raise EngineError(
            f"{VARIABLE}={name} is not an instruction set that there are kernels for.",
            hint=f"unset {VARIABLE}, or give one of {', '.join(get_args(Isa))}, {NO_KERNELS}",
        )
    if missing := _NEEDED_FLAGS[isa] - cpu_flags():
        raise EngineError(
            f"{VARIABLE}={name}, but this processor does not have {' '.join(sorted(missing))}.",
            hint=f"unset {VARIABLE}, or export {VARIABLE}={best_isa(cpu_flags())}",
        )
    return isa


def best_isa(flags: frozenset[str]) -> Isa:
    """Of a processor with these flags."""
    return next(isa for isa in _NEEDED_FLAGS if _NEEDED_FLAGS[isa] <= flags)


@cache
def cpu_flags() -> frozenset[str]:
    """As Linux names them; none where it is another system, or another kind of processor."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return frozenset()
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").partition(":")[2].split())
