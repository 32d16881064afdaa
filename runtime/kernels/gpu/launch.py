"""Starts kernels: the one untyped call, and what the interpreter needs to know.

Kernels' parameters are annotated as Triton sees them (``tl.tensor`` for pointers and numbers,
``tl.constexpr``), their callers pass torch tensors and plain numbers: no type fits both.
"""

from __future__ import annotations

from typing import Any

import torch
from triton import knobs

INTERPRETED = bool(knobs.runtime.interpret)
"""Whether kernels run in Triton's interpreter, on CPU tensors (``TRITON_INTERPRET=1``)."""


def launch(kernel: Any, grid: tuple[int, ...], *arguments: object, **options: object) -> None:
    """Run ``kernel`` on the current device's stream, or at once in the interpreter.

    Args:
        kernel: a ``triton.jit`` function.
        grid: programs in each of one to three directions; nothing runs if one is 0.
        arguments: tensors and numbers, in the kernel's order.
        options: its ``constexpr`` parameters, and ``num_warps`` and ``num_stages``.
    """
    if all(grid):
        kernel[grid](*arguments, **options)


def runs_on(tensor: torch.Tensor) -> bool:
    """Whether kernels of this process can read ``tensor``."""
    return tensor.is_cuda or INTERPRETED


def power_of_2(size: int) -> int:
    """The first that is not below ``size``: what a block of indices must be long."""
    return 1 << (size - 1).bit_length()
