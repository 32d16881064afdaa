"""Starts products of few rows: see ``skinny_gemm.py``.

M rows of activations, up to 32; N output features; K input features.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from rnj_agent.runtime.kernels.gpu.launch import launch, power_of_2
from rnj_agent.runtime.kernels.gpu.skinny_gemm import skinny_kernel
from rnj_agent.runtime.quant.fp8_plan import MAX_SKINNY_ROWS, NARROW_ROWS, SkinnyConfig

MAX_TILES = 1 << 14
"""Of a weight: as many counters as there are."""
LINE_BYTES = 128
"""What a prefetch brings into the L2 cache."""


class Activations(NamedTuple):
    """What is multiplied with the weight, and in which format."""

    rows: Tensor
    """[M, K]: float8_e4m3fn, or floating point of 16 bits."""
    scale: Tensor | None
    """float32 [M, 1] of FP8 rows; None: there is none."""
    quantize: bool = False
    """Round 16 bits to FP8 on the way, as ``quantize_tokens`` does."""


class Weight(NamedTuple):
    """What stays: see ``Fp8Weight``, or a plain matrix."""

    data: Tensor
    """[N, K]: float8_e4m3fn, or of the activations' dtype."""
    scale: Tensor | None
    """float32 [N]; None: there is none."""
    bias: Tensor | None


def skinny_product(
    x: Activations,
    weight: Weight,
    config: SkinnyConfig,
    *,
    overlap: bool = False,
) -> Tensor:
    """(x * scale) @ (weight * scale).T + bias.

    Args:
        x: up to ``MAX_SKINNY_ROWS``.
        weight: contiguous, as x is.
        config: how to cut it; of all numbers of rows the same, if rows shall not tell.
        overlap: see ``launch``.

    Returns:
        bfloat16 [M, N].
    """
    num_rows, num_columns = x.rows.shape
    num_features = len(weight.data)
    assert 0 < num_rows <= MAX_SKINNY_ROWS
    assert weight.data.shape[1] == num_columns
    assert x.rows.is_contiguous()
    assert weight.data.is_contiguous()
    num_tiles = -(-num_features // config.block_n)
    assert num_tiles <= MAX_TILES
    device = x.rows.device
    out = torch.empty((num_rows, num_features), dtype=torch.bfloat16, device=device)
    partials = out
    if config.split_k > 1:
        size = (config.split_k, num_rows, num_features)
        partials = torch.empty(size, dtype=torch.float32, device=device)
    launch(
        skinny_kernel,
        (num_tiles, config.split_k),
        x.rows,
        out if x.scale is None else x.scale,
        weight.data.view(torch.uint8) if _is_widened(x, weight) else weight.data,
        out if weight.scale is None else weight.scale,
        out if weight.bias is None else weight.bias,
        out,
        partials,
        counters(device),
        num_rows,
        num_features,
        num_columns,
        block_m=NARROW_ROWS if num_rows <= NARROW_ROWS else MAX_SKINNY_ROWS,
        block_n=config.block_n,
        block_k=config.block_k,
        split_k=config.split_k,
        weight_first=config.weight_first,
        even_k=num_columns % (config.block_k * config.split_k) == 0,
        x_format=_format(x),
        scaled_weight=weight.scale is not None,
        has_bias=weight.bias is not None,
        prefetch_k=power_of_2(config.block_k * config.num_stages),
        line=LINE_BYTES // weight.data.itemsize,
        overlap=overlap,
        num_warps=config.num_warps,
        num_stages=config.num_stages,
    )
    return out


@cache
def counters(device: torch.device) -> Tensor:
    """Of programs that have finished their part of a tile: 0 between products.

    One stream's products share them, since it runs one after the other.
    """
    return torch.zeros(MAX_TILES, dtype=torch.int32, device=device)


def _format(x: Activations) -> str:
    if x.quantize:
        return "quantize"
    return "bits16" if x.scale is None else "fp8"


def _is_widened(x: Activations, weight: Weight) -> bool:
    """Whether the weight alone is FP8."""
    return _format(x) == "bits16" and weight.scale is not None
