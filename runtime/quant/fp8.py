"""FP8 e4m3 with one scale for each row: of a weight's output channels, or of activations' tokens.

What Rnj-1's FP8 checkpoints hold (compressed-tensors, FP8_DYNAMIC), and what is made of activations
at run time. The product that follows from it:

    D[m, n] = a_scale[m] * b_scale[n] * sum_k fp8(a)[m, k] * fp8(b)[n, k]

Everything here is plain PyTorch: the definition that kernels (``kernels/gpu``) are compared with.
Not covered: static activation scales, blocks of scales, e5m2.

M rows (tokens), N output features, K input features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

FP8_DTYPE = torch.float8_e4m3fn
FP8_MAX = 448.0
"""The largest e4m3fn number: there is no infinity, and what is beyond it becomes NaN in a cast."""
MIN_SCALE = 1.0 / (FP8_MAX * 512.0)
"""Of a row of zeros, or of numbers too small to matter: as vLLM's dynamic per-token kernel has it
(``min_scaling_factor`` in ``csrc/quantization/w8a8/fp8/common.cuh``)."""


class Fp8Rows(NamedTuple):
    """x = data * scale."""

    data: Tensor
    """float8_e4m3fn [M, K]."""
    scale: Tensor
    """float32 [M, 1]."""


def quantize_tokens(x: Tensor) -> Fp8Rows:
    """One scale for each row, so that its largest number is FP8's largest.

    NaN and infinities stay: they are the model's fault, and the sampler names it.

    Args:
        x: floating point [M, K].
    """
    wide = x.float()
    scale = (wide.abs().amax(dim=1, keepdim=True) / FP8_MAX).clamp_(min=MIN_SCALE)
    return Fp8Rows((wide / scale).clamp_(-FP8_MAX, FP8_MAX).to(FP8_DTYPE), scale)


def dequantize_rows(rows: Fp8Rows, dtype: torch.dtype = torch.float32) -> Tensor:
    """[M, K]."""
    return (rows.data.float() * rows.scale).to(dtype)


def fp8_linear_reference(
    x: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    """The W8A8 product, accumulated in float32: what every kernel must come close to.

    Args:
        x: floating point [M, K], quantised here.
        weight: float8_e4m3fn [N, K].
        weight_scale: float32 [N].
        bias: [N], or None.

    Returns:
        [M, N] in the dtype of ``x``.
    """
    rows = quantize_tokens(x)
    y = linear(rows.data.float(), weight.float()) * rows.scale * weight_scale
    return (y if bias is None else y + bias.float()).to(x.dtype)
