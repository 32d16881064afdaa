"""The instruction sets that a test can run here."""

from __future__ import annotations

from typing import get_args

import pytest

from rnj_agent.runtime.kernels.cpu.compiler import find_compiler
from rnj_agent.runtime.kernels.cpu.isa import Isa, best_isa, cpu_flags
from rnj_agent.runtime.kernels.cpu.library import Kernels, open_kernels

ISAS: tuple[Isa, ...] = get_args(Isa)


def kernels_or_skip(isa: Isa) -> Kernels:
    """Compiled in seconds, once; every process and every later run finds them."""
    if ISAS.index(isa) < ISAS.index(best_isa(cpu_flags())):
        pytest.skip(f"this processor has no {isa}: run this on one that has")
    if find_compiler() is None:
        pytest.skip("there is no C compiler: sudo apt-get install -y gcc")
    return open_kernels(isa)
