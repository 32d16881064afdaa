"""Starts kernels: the one untyped call, what the interpreter needs to know, and overlapping.

Kernels' parameters are annotated as Triton sees them (``tl.tensor`` for pointers and numbers,
``tl.constexpr``), their callers pass torch tensors and plain numbers: no type fits both.

Overlapping is CUDA's programmatic dependent launch (Hopper and later): a kernel started with
``overlap=True`` may begin while the one before it still runs, as soon as all programs of that one
have called ``start_next``, and must call ``wait_for_previous`` before it touches anything that an
earlier kernel writes or reads. Weights are nobody's output, so a product may fetch them into the
cache before that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from triton import knobs
from triton.errors import TritonError
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

INTERPRETED = bool(knobs.runtime.interpret)
"""Whether kernels run in Triton's interpreter, on CPU tensors (``TRITON_INTERPRET=1``)."""
IS_INTERPRETED: tl.constexpr = tl.constexpr(INTERPRETED)


def launch(kernel: Any, grid: tuple[int, ...], *arguments: object, **options: object) -> None:
    """Run ``kernel`` on the current device's stream, or at once in the interpreter.

    Args:
        kernel: a ``triton.jit`` function.
        grid: programs in each of one to three directions; nothing runs if one is 0.
        arguments: tensors and numbers, in the kernel's order.
        options: its ``constexpr`` parameters, and ``num_warps`` and ``num_stages``. A parameter
            ``overlap`` also says how to launch.

    Raises:
        RuntimeError: it does not compile, or needs more than the card has.
    """
    if not all(grid):
        return
    with np.errstate(all="ignore"):  # in the interpreter: a GPU does not warn of infinities
        try:
            kernel[grid](*arguments, launch_pdl=bool(options.get("overlap")), **options)
        except TritonError as exc:
            raise RuntimeError(f"{kernel.fn.__name__} does not run on this card: {exc}") from exc


def runs_on(tensor: torch.Tensor) -> bool:
    """Whether kernels of this process can read ``tensor``."""
    return tensor.is_cuda or INTERPRETED


def power_of_2(size: int) -> int:
    """The first that is not below ``size``: what a block of indices must be long."""
    return 1 << (size - 1).bit_length()


@triton.jit
def bound(number: tl.tensor) -> tl.tensor:
    """A loop's: Triton 3.6 interprets it as an array of one number, which numpy 2.4 refuses."""
    if IS_INTERPRETED:
        return number.handle.data.item()
    return number


@triton.jit
def start_next(overlap: tl.constexpr) -> None:
    """Let the next kernel's programs start as soon as this one's have."""
    if overlap:
        gdc_launch_dependents()


@triton.jit
def wait_for_previous(overlap: tl.constexpr) -> None:
    """Until the kernel before has ended, and what it wrote can be read."""
    if overlap:
        gdc_wait()
