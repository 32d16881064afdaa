"""FP8 e4m3 with one scale for each row: of a weight's output channels, or of activations' tokens.

What Rnj-1's FP8 checkpoints hold (compressed-tensors, FP8_DYNAMIC), and what is made of activations
at run time. The product that follows from it:

    D[m, n] = a_scale[m] * b_scale[n] * sum_k fp8(a)[m, k] * fp8(b)[n, k]

Everything here is plain PyTorch: the definition that kernels (``kernels/gpu``) are compared with.
Not covered: static activation scales, blocks of scales, e5m2.

M rows (tokens), N output features, K input features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnj_agent.runtime.quant.pieces import PIECE_WEIGHTS, run_pieces, slices

FP8_DTYPE = torch.float8_e4m3fn
FP8_MAX = 448.0
"""The largest e4m3fn number: there is no infinity, and what is beyond it becomes NaN in a cast."""
MIN_SCALE = 1.0 / (FP8_MAX * 512.0)
"""Of a row of zeros, or of numbers too small to matter: as vLLM's dynamic per-token kernel has it
(``min_scaling_factor`` in ``csrc/quantization/w8a8/fp8/common.cuh``)."""
ZERO_ROW_SCALE = torch.finfo(torch.bfloat16).eps
"""Of a weight's row without any: anything above zero will do, and this is what files have."""
DEVICE_PIECE_WEIGHTS = 1 << 24
"""Weights at a time on a GPU: as many as keep it busy, few enough that their float32 is small."""
NAN_BITS = 0x7F
"""e4m3fn has one NaN of each sign: all bits set but the sign's."""
BYTES_LOOKED_AT = 1 << 22
"""At a time, for NaN: less would cost more to start than to do."""


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


class Fp8Weight(NamedTuple):
    """weight = data * scale[:, None]."""

    data: Tensor
    """float8_e4m3fn [N, K]."""
    scale: Tensor
    """float32 [N]."""


def empty_fp8_weight(num_rows: int, num_columns: int, device: str | torch.device) -> Fp8Weight:
    """Memory for one, on a device."""
    return Fp8Weight(
        torch.empty((num_rows, num_columns), dtype=FP8_DTYPE, device=device),
        torch.empty(num_rows, dtype=torch.float32, device=device),
    )


def quantize_weight(weight: Tensor) -> Fp8Weight:
    """One scale for each output channel, as checkpoints of scheme FP8_DYNAMIC hold it.

    What is made at load is, bit for bit, what such a file of the same weights holds: scales are
    rounded to bfloat16, as files store them, before they divide; a bfloat16 quotient is rounded to
    bfloat16 before it is to FP8 (compressed-tensors 0.20, ``lifecycle/forward_helpers.py``).
    NaN and infinities give scales that are not finite: whoever knows the name reports them.

    Args:
        weight: floating point [N, K].
    """
    num_rows, num_columns = weight.shape
    rows = empty_fp8_weight(num_rows, num_columns, weight.device)
    quantize_weight_into(rows, weight)
    return rows


def quantize_weight_into(rows: Fp8Weight, weight: Tensor) -> None:
    """``quantize_weight`` into memory that there is, such as a part of a fused projection."""

    def quantize(piece: slice) -> None:
        block = weight[piece]
        scale = (block.abs().amax(dim=1).float() / FP8_MAX).bfloat16()
        scale[scale == 0] = ZERO_ROW_SCALE
        rows.scale[piece] = scale
        rows.data[piece] = (block / scale[:, None]).clamp_(-FP8_MAX, FP8_MAX).to(FP8_DTYPE)

    _run_row_pieces(quantize, weight)


def widen_weight_into(out: Tensor, weight: Fp8Weight) -> None:
    """Dequantise: data * scale, in the dtype of ``out`` [N, K]."""

    def dequantize(piece: slice) -> None:
        out[piece] = widen(weight.data[piece], torch.float32) * weight.scale[piece, None]

    _run_row_pieces(dequantize, out)


def has_nan(data: Tensor) -> bool:
    """Of float8_e4m3fn [N, K], by its bits: comparing numbers is far slower on a CPU."""
    blocks = data.view(torch.uint8).split(max(1, BYTES_LOOKED_AT // max(1, data.shape[1])))
    return any(int((block & NAN_BITS).max()) == NAN_BITS for block in blocks)


def _run_row_pieces(work: Callable[[slice], None], weight: Tensor) -> None:
    """Rows of a weight: in small pieces on all threads of a CPU, in large ones on a GPU."""
    num_rows, num_columns = weight.shape
    if weight.is_cpu:
        run_pieces(work, slices(num_rows, max(1, PIECE_WEIGHTS // max(1, num_columns))))
        return
    for piece in slices(num_rows, max(1, DEVICE_PIECE_WEIGHTS // max(1, num_columns))):
        work(piece)


class _Widening(NamedTuple):
    """How FP8 bits become those of a wider format: shifted, masked, and multiplied."""

    bits: torch.dtype
    shift: int
    mask: int
    """Sign, the low 4 bits of the exponent, the high 3 of the mantissa."""


WIDENINGS: Mapping[torch.dtype, _Widening] = MappingProxyType(
    {
        torch.bfloat16: _Widening(torch.int16, 4, 0x87F0 - (1 << 16)),
        torch.float32: _Widening(torch.int32, 20, 0x87F00000 - (1 << 32)),
    }
)
WIDENED_BIAS = 2.0**120
"""The exponents' biases are 7 and 127."""


def widen(data: Tensor, dtype: torch.dtype, memory: Tensor | None = None) -> Tensor:
    """float8_e4m3fn to ``dtype``, exactly, but for NaN, which a loaded weight has not.

    On a CPU, torch converts float8 one number at a time, ten times slower than shifting bits.

    Args:
        data: of any shape.
        dtype: torch.bfloat16 or torch.float32.
        memory: of that dtype, and of the shape of ``data``; None: fresh.
    """
    widening = WIDENINGS[dtype]
    if memory is None:
        memory = torch.empty(data.shape, dtype=dtype, device=data.device)
    bits = memory.view(widening.bits)
    bits.copy_(data.view(torch.int8))
    bits.bitwise_left_shift_(widening.shift).bitwise_and_(widening.mask)
    return bits.view(dtype).mul_(WIDENED_BIAS)


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
