"""Weights packed for the processor's products, in C (``packed.h``, ``products.c``, ``unpack.c``).

Covered: bfloat16 and float32 activations; few rows in a kernel that reads the packed weights
once; pieces or single rows of a weight in floating point. A row gets the same bits whatever is
computed with it. Activations are rounded to int8 with a scale for each 32, but for FP8 weights.
Not covered: many rows, for which unpacking and a dense product are faster (``packed_linear.py``).

T rows (tokens), N output features, K input features.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.packed import (
    BLOCKS,
    GROUP,
    GROUP_BYTES,
    MAX_SEGMENTS,
    QUAD_BYTES,
    PackedFormat,
    PackedRecord,
    SegmentRecord,
    packed_bytes,
    packed_product,
    tile_bytes,
)
from rnj_agent.runtime.kernels.cpu.threads import pass_threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Some output rows, of one format."""

    packed_format: PackedFormat
    tiles: Tensor
    """uint8, contiguous, of ``packed_bytes``."""
    num_rows: int
    in_features: int

    def __post_init__(self) -> None:
        assert self.tiles.dtype == torch.uint8
        assert self.tiles.is_contiguous()
        num_bytes = packed_bytes(self.packed_format, self.num_rows, self.in_features)
        assert self.tiles.numel() == num_bytes


def repack(
    kernels: Kernels,
    packed_format: PackedFormat,
    source: Tensor,
    tiles: Tensor,
    *,
    num_rows: int,
    scales: Tensor | None = None,
) -> Segment:
    """Put the rows of a weight where the products find them, without loss.

    Args:
        kernels: compiled.
        packed_format: of the result.
        source: GGUF blocks, uint8 [N, bytes of a row]; for FP8, its codes [N, K], as uint8.
        tiles: uint8, of ``packed_bytes``; written.
        num_rows: N.
        scales: of FP8's rows, float32 [N].
    """
    assert source.dtype == torch.uint8
    assert source.is_contiguous()
    assert source.shape[0] == num_rows
    if packed_format is PackedFormat.FP8:
        in_features = source.shape[1]
        assert scales is not None
        assert scales.dtype == torch.float32
        assert scales.shape == (num_rows,)
        scales = scales.contiguous()
    else:
        num_weights, block_bytes, _ = BLOCKS[packed_format]
        assert source.shape[1] % block_bytes == 0
        in_features = source.shape[1] // block_bytes * num_weights
    segment = Segment(
        packed_format=packed_format, tiles=tiles, num_rows=num_rows, in_features=in_features
    )
    function = kernels.function(
        "rnj_repack", ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int] * 2,
        ctypes.c_void_p, ctypes.c_int,
    )  # fmt: skip
    function(
        packed_format,
        source.data_ptr(),
        None if scales is None else scales.data_ptr(),
        num_rows,
        in_features,
        tiles.data_ptr(),
        torch.get_num_threads(),
    )
    return segment


class PackedWeight:
    """The rows of some segments, one after the other, and what can be done with them.

    Args:
        kernels: compiled.
        segments: at most 4, of one K; FP8 all or none.
        bias: float32 [N].

    Attributes:
        address: of the record that C reads.
    """

    def __init__(
        self, kernels: Kernels, segments: Sequence[Segment], bias: Tensor | None = None
    ) -> None:
        assert 0 < len(segments) <= MAX_SEGMENTS
        assert len({segment.in_features for segment in segments}) == 1
        is_fp8 = {segment.packed_format is PackedFormat.FP8 for segment in segments}
        assert len(is_fp8) == 1
        self.segments = tuple(segments)
        self.in_features = segments[0].in_features
        self.out_features = sum(segment.num_rows for segment in segments)
        self.is_fp8 = is_fp8.pop()
        self.bias = bias
        if bias is not None:
            assert bias.shape == (self.out_features,)
            assert bias.dtype == torch.float32
            assert bias.is_contiguous()
        self._records = (SegmentRecord * len(segments))(*(_record(segment) for segment in segments))
        self._packed = PackedRecord(
            segments=ctypes.addressof(self._records),
            num_segments=len(segments),
            in_features=self.in_features,
            out_features=self.out_features,
            is_fp8=self.is_fp8,
            bias=None if bias is None else bias.data_ptr(),
        )
        self.address = ctypes.addressof(self._packed)
        pointer, number, long = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
        self._product = packed_product(kernels)
        self._unpack = kernels.function(
            "rnj_unpack", pointer, number, long, long, pointer, number, number
        )
        self._unpack_rows = kernels.function(
            "rnj_unpack_rows", pointer, number, pointer, long, pointer, number, number
        )

    @property
    def size_bytes(self) -> int:
        return sum(segment.tiles.nbytes for segment in self.segments)

    def workspace_bytes(self, num_rows: int) -> int:
        """That a product needs."""
        if self.is_fp8:
            return num_rows * -(-self.in_features // 4) * QUAD_BYTES
        return num_rows * (self.in_features // GROUP) * GROUP_BYTES

    def product(self, x: Tensor, workspace: Tensor) -> Tensor:
        """[T, K] to [T, N]: x @ weight.T + bias, in the dtype of ``x``.

        Args:
            x: bfloat16 or float32.
            workspace: uint8, of ``workspace_bytes``; what is in it is lost.
        """
        x = x.contiguous()
        num_rows, in_features = x.shape
        assert in_features == self.in_features
        assert workspace.nbytes >= self.workspace_bytes(num_rows)
        y = x.new_empty((num_rows, self.out_features))
        self._product(
            self.address,
            x.data_ptr(),
            _is_bf16(x),
            num_rows,
            y.data_ptr(),
            workspace.data_ptr(),
            pass_threads(num_rows),
        )
        return y

    def unpack(self, segment: int, first_row: int, out: Tensor) -> None:
        """Write rows of a segment, from ``first_row`` on, to ``out``, [rows, K].

        FP8 weights are written without their scales.
        """
        num_rows = self.segments[segment].num_rows
        assert 0 <= first_row <= first_row + len(out) <= num_rows
        assert out.shape[1] == self.in_features
        assert out.is_contiguous()
        self._unpack(
            ctypes.addressof(self._records[segment]),
            self.in_features,
            first_row,
            len(out),
            out.data_ptr(),
            _is_bf16(out),
            torch.get_num_threads(),
        )

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows with these numbers, int64 [T], of a weight with one segment: [T, K]."""
        (segment,) = self.segments
        ids = ids.contiguous()
        assert ids.dtype == torch.int64
        assert ids.dim() == 1
        out = torch.empty((len(ids), self.in_features), dtype=dtype)
        if len(ids) == 0:
            return out
        assert int(ids.min()) >= 0
        assert int(ids.max()) < segment.num_rows
        self._unpack_rows(
            ctypes.addressof(self._records[0]),
            self.in_features,
            ids.data_ptr(),
            len(ids),
            out.data_ptr(),
            _is_bf16(out),
            torch.get_num_threads(),
        )
        return out


def _record(segment: Segment) -> SegmentRecord:
    return SegmentRecord(
        tiles=segment.tiles.data_ptr(),
        tile_bytes=tile_bytes(segment.packed_format, segment.in_features),
        format=segment.packed_format,
        num_rows=segment.num_rows,
    )


def _is_bf16(tensor: Tensor) -> int:
    assert tensor.dtype in {torch.bfloat16, torch.float32}
    return int(tensor.dtype == torch.bfloat16)
