"""Weights as int8 with one scale for each output row: half of bfloat16's bytes to read per token.

Covered: bfloat16 activations on a CPU. A few rows go through torch's int8 kernel, which is bound by
memory; for more rows, where bfloat16 matrix products are several times faster, blocks of the weight
are widened into a small buffer first.
Not covered: GPUs, quantised activations, 4 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnj_agent.runtime.quant.pieces import PIECE_WEIGHTS, run_pieces, slices

MAX_KERNEL_ROWS = 8
"""Rows above which widening the weight is faster than the int8 kernel, whose time is per row."""
BUFFER_WEIGHTS = 1 << 25
"""Weights that are widened at a time: 64 MiB in bfloat16, a whole projection of most models."""
INT8_MAX = 127.0


class WideningBuffer:
    """Where weights are widened, shared by all layers: fresh memory costs more than the work."""

    def __init__(self) -> None:
        self._memory = torch.empty(BUFFER_WEIGHTS, dtype=torch.bfloat16)

    def widen(self, block: Tensor) -> Tensor:
        """The block in bfloat16, until the next call."""
        return self._memory[: block.numel()].view(block.shape).copy_(block)

    def max_rows(self, in_features: int) -> int:
        """Rows of a weight that fit."""
        return max(1, BUFFER_WEIGHTS // in_features)


class Int8Linear:
    """y = x @ (weight * scale).T + bias.

    Args:
        weight: int8 [out_features, in_features].
        scale: bfloat16 [out_features].
        buffer: for more than a few rows.
        bias: bfloat16 [out_features].
    """

    def __init__(
        self, weight: Tensor, scale: Tensor, buffer: WideningBuffer, bias: Tensor | None = None
    ) -> None:
        assert weight.dtype == torch.int8
        assert scale.dtype == torch.bfloat16
        self.weight = weight
        self.scale = scale
        self.bias = bias
        self._buffer = buffer

    def __call__(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.bfloat16
        if len(x) <= MAX_KERNEL_ROWS:
            y = torch.ops.aten._weight_int8pack_mm(x, self.weight, self.scale)
        else:
            y = self._widened(x) * self.scale
        return y if self.bias is None else y + self.bias

    @property
    def size_bytes(self) -> int:
        return self.weight.nbytes + self.scale.nbytes

    def _widened(self, x: Tensor) -> Tensor:
        """The product with the weight, still to be scaled."""
        num_rows = self._buffer.max_rows(self.weight.shape[1])
        parts = [linear(x, self._buffer.widen(block)) for block in self.weight.split(num_rows)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def quantize_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round to the nearest of 255 steps of each row.

    Args:
        weight: floating point [out_features, in_features].

    Returns:
        int8 of the same shape, and scales, bfloat16 [out_features].
    """
    quants = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(len(weight), dtype=torch.bfloat16)

    def quantize(piece: slice) -> None:
        rows = weight[piece].float()
        # rounded to bfloat16 before it divides, so that the rounding costs no accuracy
        scales[piece] = rows.abs().amax(dim=1) / INT8_MAX
        inverse = scales[piece].float().clamp(min=torch.finfo(torch.float32).tiny).reciprocal()
        quants[piece] = (rows * inverse[:, None]).round_().clamp_(-INT8_MAX, INT8_MAX)

    run_pieces(quantize, slices(len(weight), max(1, PIECE_WEIGHTS // weight.shape[1])))
    return quants, scales
