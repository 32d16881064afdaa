"""Formats of packed weights, and the records that C reads of them (``packed.h``).

Does not import torch, so that ``doctor`` can time a product in a moment.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Final

from rnj_agent.runtime.kernels.cpu.library import CFunction, Kernels

TILE_ROWS: Final = 16
GROUP: Final = 32
MAX_SEGMENTS: Final = 4
GROUP_BYTES: Final = 48
"""Of the workspace, for 32 activations of a row."""
QUAD_BYTES: Final = 16
"""Likewise for 4, with FP8 weights."""
FP8_HEAD_BYTES: Final = 64


class PackedFormat(IntEnum):
    """As ``packed.h`` numbers them."""

    Q4_K = 0
    Q6_K = 1
    Q8 = 2
    Q4_1 = 3
    FP8 = 4


BLOCKS: Final = {
    PackedFormat.Q4_K: (256, 144, 2368),
    PackedFormat.Q6_K: (256, 210, 3360),
    PackedFormat.Q8: (32, 34, 544),
    PackedFormat.Q4_1: (32, 20, 320),
}
"""Weights of a row, bytes of them in a GGUF file, and packed bytes of 16 rows."""


def packed_bytes(packed_format: PackedFormat, num_rows: int, in_features: int) -> int:
    """Of a weight [num_rows, in_features]."""
    num_tiles = -(-num_rows // TILE_ROWS)
    return num_tiles * tile_bytes(packed_format, in_features)


def tile_bytes(packed_format: PackedFormat, in_features: int) -> int:
    if packed_format is PackedFormat.FP8:
        return FP8_HEAD_BYTES + -(-in_features // 4) * 64
    num_weights, _, num_bytes = BLOCKS[packed_format]
    assert in_features % num_weights == 0
    return in_features // num_weights * num_bytes


class SegmentRecord(ctypes.Structure):
    """``rnj_segment`` of packed.h."""

    _fields_ = (
        ("tiles", ctypes.c_void_p),
        ("tile_bytes", ctypes.c_int64),
        ("format", ctypes.c_int32),
        ("num_rows", ctypes.c_int32),
    )


class PackedRecord(ctypes.Structure):
    """``rnj_packed`` of packed.h."""

    _fields_ = (
        ("segments", ctypes.c_void_p),
        ("num_segments", ctypes.c_int32),
        ("in_features", ctypes.c_int32),
        ("out_features", ctypes.c_int32),
        ("is_fp8", ctypes.c_int32),
        ("bias", ctypes.c_void_p),
    )


def packed_product(kernels: Kernels) -> CFunction:
    """``void (packed, x, is_bf16, num_rows, y, workspace, num_threads)``."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    types = (pointer, pointer, number, number, pointer, pointer, number)
    return kernels.function("rnj_packed_product", *types)
