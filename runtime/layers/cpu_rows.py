"""Whether the small operations on some rows are done by the compiled kernels."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.kernels.cpu.rows import RowKernels


def row_kernels(x: Tensor) -> RowKernels | None:
    """For rows like these; None: PyTorch does it."""
    if x.dtype != torch.bfloat16 or not x.is_cpu:
        return None
    return _row_kernels()


@cache
def _row_kernels() -> RowKernels | None:
    compiled = kernels()
    return None if compiled is None else RowKernels(compiled)
