"""FP8 weights on a CPU, which has no products of its own for them: widened piece by piece.

Covered: bfloat16 and float32 activations, kept as they are (W8A16), or quantised per token as GPUs
do (W8A8, emulated: for numerics, and for tests of the whole engine).
Not covered: speed. Widening takes several passes over each piece; int8 weights, which torch has a
kernel for, decode several times faster (``quant="int8"``).

T rows (tokens), N output features, K input features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, quantize_tokens, widen

BUFFER_WEIGHTS = 1 << 22
"""Weights that are widened at a time: 8 MiB in bfloat16, about what the caches hold."""
PADDED_ROWS = 8
"""Fewer rows are filled up to so many: products of one shape give a row the same bits, whatever
stands beside it, so that verified guesses are the tokens that decode steps give."""


class Fp8WideningBuffer:
    """Where weights are widened, shared by all layers: fresh memory costs more than the work."""

    def __init__(self) -> None:
        self._memory = torch.empty(BUFFER_WEIGHTS, dtype=torch.float32)

    def widen(self, block: Tensor, dtype: torch.dtype) -> Tensor:
        """The block in ``dtype``, until the next call."""
        memory = self._memory.view(dtype)[: block.numel()].view(block.shape)
        return widen(block, dtype, memory)

    def max_rows(self, in_features: int) -> int:
        """Rows of a weight that fit."""
        return max(1, BUFFER_WEIGHTS // in_features)


class Fp8CpuLinear:
    """y = x @ (weight * weight_scale).T + bias.

    Args:
        weight: float8_e4m3fn [N, K], without NaN.
        weight_scale: float32 [N].
        buffer: for pieces of the weight.
        bias: [N].
        quantize_activations: emulate W8A8, in float32: ``fp8_linear_reference``, but faster.
    """

    def __init__(
        self,
        weight: Tensor,
        weight_scale: Tensor,
        buffer: Fp8WideningBuffer,
        bias: Tensor | None = None,
        *,
        quantize_activations: bool = False,
    ) -> None:
        assert weight.dtype == FP8_DTYPE
        assert weight_scale.dtype == torch.float32
        assert weight_scale.shape == weight.shape[:1]
        self.weight = weight
        self.weight_scale = weight_scale
        self.bias = bias
        self.quantize_activations = quantize_activations
        self._buffer = buffer

    def __call__(self, x: Tensor) -> Tensor:
        """[T, K] to [T, N], in the dtype of ``x``."""
        if self.quantize_activations:
            rows = quantize_tokens(x)
            y = self._product(widen(rows.data, torch.float32)) * rows.scale * self.weight_scale
        else:
            y = self._product(x) * self.weight_scale
        return (y if self.bias is None else y + self.bias.float()).to(x.dtype)

    @property
    def size_bytes(self) -> int:
        return self.weight.nbytes + self.weight_scale.nbytes

    def _product(self, x: Tensor) -> Tensor:
        """The product with the weight, still to be scaled."""
        num_rows = len(x)
        x = pad(x, (0, 0, 0, max(0, PADDED_ROWS - num_rows)))
        blocks = self.weight.split(self._buffer.max_rows(self.weight.shape[1]))
        parts = [linear(x, self._buffer.widen(block, x.dtype)) for block in blocks]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1))[:num_rows]
