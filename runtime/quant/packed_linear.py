"""Layers over packed weights: products with few rows in C, with many in bfloat16 as torch does.

Covered: CPUs with compiled kernels, bfloat16 and float32 activations.
Not covered: GPUs.

For many rows the weight, or as much of it as fits, is unpacked into a buffer that all layers
share; no second copy of the model is kept.

T rows (tokens), N output features, K input features.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnj_agent.runtime.kernels.cpu.packed import FP8_HEAD_BYTES, TILE_ROWS
from rnj_agent.runtime.kernels.cpu.products import PackedWeight

MAX_PRODUCT_ROWS: Final = 64
"""Rows above which unpacking the weight for a dense product is faster, or nearly so: below, a row
gets the same bits whatever is computed with it."""
MAX_FP8_PRODUCT_ROWS: Final = 32
"""Likewise: products of FP8 weights are in float32, and so take longer for each row."""
BUFFER_WEIGHTS: Final = 1 << 25
"""Weights that are unpacked at a time: 64 MiB in bfloat16, a whole projection of most models."""


class PackedBuffers:
    """Memory that layers use one after the other: fresh memory costs more than the work."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.unpacked = torch.empty(BUFFER_WEIGHTS, dtype=dtype)
        self._workspace = torch.empty(0, dtype=torch.uint8)

    def workspace(self, num_bytes: int) -> Tensor:
        """uint8, at least so many bytes, until the next call."""
        if self._workspace.nbytes < num_bytes:
            self._workspace = torch.empty(num_bytes, dtype=torch.uint8)
        return self._workspace


class PackedLinear:
    """y = x @ weight.T + bias.

    Args:
        weight: with its bias.
        buffers: shared by all layers.

    Attributes:
        max_product_rows: up to so many, products read the packed weight.
    """

    def __init__(self, weight: PackedWeight, buffers: PackedBuffers) -> None:
        self.weight = weight
        self._buffers = buffers
        self._scale = _fp8_scale(weight) if weight.is_fp8 else None
        self.max_product_rows = MAX_FP8_PRODUCT_ROWS if weight.is_fp8 else MAX_PRODUCT_ROWS

    def __call__(self, x: Tensor) -> Tensor:
        """[T, K] to [T, N], in the dtype of ``x``."""
        if len(x) <= self.max_product_rows:
            workspace = self._buffers.workspace(self.weight.workspace_bytes(len(x)))
            return self.weight.product(x, workspace)
        y = self._dense(x)
        if self._scale is not None:
            y = y * self._scale
        return (y if self.weight.bias is None else y + self.weight.bias).to(x.dtype)

    @property
    def size_bytes(self) -> int:
        return self.weight.size_bytes

    def _dense(self, x: Tensor) -> Tensor:
        """The product with the unpacked weight, without FP8's scales and the bias."""
        weight = self.weight
        max_rows = max(1, BUFFER_WEIGHTS // weight.in_features)
        if weight.out_features <= max_rows:
            whole = self._buffer(weight.out_features)
            parts = whole.split([segment.num_rows for segment in weight.segments])
            for index, part in enumerate(parts):
                weight.unpack(index, 0, part)
            return linear(x, whole)
        pieces = [
            (index, first, min(max_rows, segment.num_rows - first))
            for index, segment in enumerate(weight.segments)
            for first in range(0, segment.num_rows, max_rows)
        ]
        return torch.cat([self._dense_piece(x, *piece) for piece in pieces], dim=-1)

    def _dense_piece(self, x: Tensor, segment: int, first_row: int, num_rows: int) -> Tensor:
        piece = self._buffer(num_rows)
        self.weight.unpack(segment, first_row, piece)
        return linear(x, piece)

    def _buffer(self, num_rows: int) -> Tensor:
        size = num_rows * self.weight.in_features
        return self._buffers.unpacked[:size].view(num_rows, self.weight.in_features)


class PackedEmbedding:
    """Rows of a packed weight, which may be the head's as well.

    Args:
        weight: of one segment.
        dtype: of the rows that are looked up.
    """

    def __init__(self, weight: PackedWeight, dtype: torch.dtype) -> None:
        self.weight = weight
        self._dtype = dtype

    def __call__(self, input_ids: Tensor) -> Tensor:
        """int64 [T] to [T, K]."""
        return self.weight.rows(input_ids, self._dtype)


def _fp8_scale(weight: PackedWeight) -> Tensor:
    """Of each output row: it stands at the head of its tile."""
    return torch.cat(
        [
            segment.tiles.view(-(-segment.num_rows // TILE_ROWS), -1)[:, :FP8_HEAD_BYTES]
            .contiguous()
            .view(torch.float32)
            .flatten()[: segment.num_rows]
            for segment in weight.segments
        ]
    )
