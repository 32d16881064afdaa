"""Casts that round as a GPU's do, in Triton's interpreter too."""

from __future__ import annotations

import triton
import triton.language as tl

from rnj_agent.runtime.kernels.gpu.launch import IS_INTERPRETED


@triton.jit
def cast(x: tl.tensor, dtype: tl.dtype) -> tl.tensor:
    """A number to a floating point ``dtype``, rounded to the nearest.

    The interpreter's cast to bfloat16 cuts off what a GPU's rounds to the nearest, ties to even;
    and it cannot cast integers to bfloat16.
    """
    if IS_INTERPRETED:
        wide = x.to(tl.float32)
        if dtype == tl.bfloat16:
            bits = wide.to(tl.uint32, bitcast=True)
            rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).to(tl.uint32)
            wide = tl.where(wide == wide, rounded.to(tl.float32, bitcast=True), wide)
        return wide.to(dtype)
    return x.to(dtype)
