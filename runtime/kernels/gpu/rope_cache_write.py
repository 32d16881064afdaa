"""From the qkv projection to rotated queries and a written cache, in one pass over the rows.

    queries  normalised, rotated               to a tensor
    keys     normalised, rotated, quantised    to the cache
    values   quantised                         to the cache

A program has one row and up to ``TILE_HEADS`` heads of one kind, as two halves, because a rotation
pairs numbers that are half a head apart. What the plain layers (``layers/head_writer.py``) round to
the activations' dtype when they run one by one is rounded here too.

T rows, H query heads, K key/value heads, D head size, S slots.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from rnj_agent.runtime.kernels.gpu.launch import launch, power_of_2
from rnj_agent.runtime.kernels.gpu.quantize_tokens import to_fp8
from rnj_agent.runtime.kernels.gpu.rounding import cast
from rnj_agent.runtime.kv_cache.buffer import INT8_MAX
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout
from rnj_agent.runtime.layers.rotary_embedding import Rotation

TILE_HEADS = 8
LARGEST_INT8: tl.constexpr = tl.constexpr(INT8_MAX)
LARGEST_FP8: tl.constexpr = tl.constexpr(torch.finfo(torch.float8_e4m3fn).max)
SMALLEST: tl.constexpr = tl.constexpr(torch.finfo(torch.float32).tiny)
TO_WHOLE: tl.constexpr = tl.constexpr(1.5 * 2.0**23)
"""Added and taken away, it leaves the nearest whole number, ties to even."""


@triton.jit
def rotated(
    first: tl.tensor,
    second: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    weight: tl.tensor | None,
    eps: tl.tensor,
    half: tl.constexpr,
    dim: tl.tensor,
    dtype: tl.dtype,
) -> tuple[tl.tensor, tl.tensor]:
    """Both halves of heads, float32 [heads, half] each, normalised if there is a weight."""
    if weight is not None:
        square = tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)
        inverse_rms = tl.div_rn(1.0, tl.sqrt_rn(square / (2 * half) + eps))[:, None]
        is_dim = dim < half
        first_weight = tl.load(weight + dim, mask=is_dim, other=0.0)[None, :]
        second_weight = tl.load(weight + half + dim, mask=is_dim, other=0.0)[None, :]
        first = cast(first * inverse_rms * first_weight, dtype).to(tl.float32)
        second = cast(second * inverse_rms * second_weight, dtype).to(tl.float32)
    turned = cast(first * cos - second * sin, dtype).to(tl.float32)
    return turned, cast(second * cos + first * sin, dtype).to(tl.float32)


@triton.jit
def row_scale(first: tl.tensor, second: tl.tensor, stored: tl.dtype) -> tl.tensor:
    """Of each head, bfloat16 [heads]: ``quantize_rows`` in ``kv_cache/buffer.py`` says how."""
    largest: tl.constexpr = LARGEST_INT8 if stored == tl.int8 else LARGEST_FP8
    amax = tl.maximum(tl.max(tl.abs(first), axis=1), tl.max(tl.abs(second), axis=1))
    return cast(tl.div_rn(tl.maximum(amax, SMALLEST * largest), largest), tl.bfloat16)


@triton.jit
def quantized(x: tl.tensor, scale: tl.tensor, stored: tl.dtype) -> tl.tensor:
    """Float32 [heads, half] over the heads' scales."""
    divisor = scale.to(tl.float32)[:, None]
    if stored == tl.int8:
        x = tl.minimum(tl.maximum(tl.div_rn(x, divisor), -LARGEST_INT8), LARGEST_INT8)
        data = (x + TO_WHOLE - TO_WHOLE).to(tl.int8)
    else:
        data = to_fp8(x, divisor)
    return data


@triton.jit
def write_cache(
    first: tl.tensor,
    second: tl.tensor,
    data: tl.tensor,
    scales: tl.tensor | None,
    place: tl.tensor,
    mask: tl.tensor,
    half: tl.constexpr,
    dim: tl.tensor,
    stored: tl.dtype,
) -> None:
    """Both halves of heads to ``place``, int64 [heads], which counts slots of all heads."""
    if scales is not None:
        scale = row_scale(first, second, stored)
        tl.store(scales + place, scale, mask=mask)
        first, second = quantized(first, scale, stored), quantized(second, scale, stored)
    else:
        first, second = cast(first, stored), cast(second, stored)
    start = place[:, None] * (2 * half) + dim[None, :]
    is_dim = mask[:, None] & (dim < half)[None, :]
    tl.store(data + start, first, mask=is_dim)
    tl.store(data + start + half, second, mask=is_dim)


@triton.jit(do_not_specialize=["num_slots"])
def rope_cache_write_kernel(
    qkv: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    q_weight: tl.tensor,
    k_weight: tl.tensor,
    slots: tl.tensor,
    queries: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    key_scales: tl.tensor,
    value_scales: tl.tensor,
    eps: tl.tensor,
    num_slots: tl.tensor,
    num_heads: tl.constexpr,
    num_kv_heads: tl.constexpr,
    half: tl.constexpr,
    padded_half: tl.constexpr,
    tile_heads: tl.constexpr,
    overlap: tl.constexpr,
) -> None:
    """Grid (T, tiles of query heads, then of key heads, then of value heads)."""
    if overlap:
        gdc_launch_dependents()
        gdc_wait()
    query_tiles: tl.constexpr = (num_heads + tile_heads - 1) // tile_heads
    kv_tiles: tl.constexpr = (num_kv_heads + tile_heads - 1) // tile_heads
    row = tl.program_id(0).to(tl.int64)
    tile = tl.program_id(1)
    kind = tl.where(tile < query_tiles, 0, tl.where(tile < query_tiles + kv_tiles, 1, 2))
    skipped_tiles = tl.where(kind == 0, 0, tl.where(kind == 1, query_tiles, query_tiles + kv_tiles))
    skipped_heads = tl.where(kind == 0, 0, num_heads + (kind - 1) * num_kv_heads)
    head = (tile - skipped_tiles) * tile_heads + tl.arange(0, tile_heads)
    is_head = head < tl.where(kind == 0, num_heads, num_kv_heads)

    dim = tl.arange(0, padded_half)
    is_dim = is_head[:, None] & (dim < half)[None, :]
    column = (skipped_heads + head)[:, None] * (2 * half) + dim[None, :]
    source = qkv + row * ((num_heads + 2 * num_kv_heads) * 2 * half) + column
    first = cast(tl.load(source, mask=is_dim, other=0.0), tl.float32)
    second = cast(tl.load(source + half, mask=is_dim, other=0.0), tl.float32)
    dtype: tl.constexpr = qkv.dtype.element_ty
    stored: tl.constexpr = values.dtype.element_ty
    place = head.to(tl.int64) * num_slots + tl.load(slots + row)
    if kind == 2:
        write_cache(first, second, values, value_scales, place, is_head, half, dim, stored)
    else:
        cosines = tl.load(cos + row * half + dim, mask=dim < half, other=0.0)[None, :]
        sines = tl.load(sin + row * half + dim, mask=dim < half, other=0.0)[None, :]
        if kind == 1:
            first, second = rotated(first, second, cosines, sines, k_weight, eps, half, dim, dtype)
            write_cache(first, second, keys, key_scales, place, is_head, half, dim, stored)
        else:
            first, second = rotated(first, second, cosines, sines, q_weight, eps, half, dim, dtype)
            target = queries + (row * num_heads + head)[:, None] * (2 * half) + dim[None, :]
            tl.store(target, first.to(dtype), mask=is_dim)  # rounded already
            tl.store(target + half, second.to(dtype), mask=is_dim)


def rope_cache_write(
    qkv: Tensor, layout: HeadLayout, rotation: Rotation, cache: CacheRows, *, overlap: bool = False
) -> Tensor:
    """Rotate queries and keys, and write keys and values to the cache.

    Args:
        qkv: contiguous [T, (H + 2 K) * D].
        layout: of these columns; both norms have one eps.
        rotation: of the rows' positions.
        cache: where they go; slots as a tensor.
        overlap: see ``launch``.

    Returns:
        queries, [T, H, D].
    """
    assert qkv.is_contiguous()
    assert isinstance(cache.slots, Tensor)
    keys, values = cache.storage.keys[cache.layer], cache.storage.values[cache.layer]
    num_tokens, half = len(qkv), layout.head_dim // 2
    queries = qkv.new_empty((num_tokens, layout.num_heads, layout.head_dim))
    num_tiles = -(-layout.num_heads // TILE_HEADS) + 2 * -(-layout.num_kv_heads // TILE_HEADS)
    launch(
        rope_cache_write_kernel,
        (num_tokens, num_tiles),
        qkv,
        rotation.cos,
        rotation.sin,
        layout.q_norm.weight if layout.q_norm else None,
        layout.k_norm.weight if layout.k_norm else None,
        cache.slots,
        queries,
        keys.data,
        values.data,
        keys.scales,
        values.scales,
        layout.q_norm.eps if layout.q_norm else 0.0,
        keys.data.shape[1],
        num_heads=layout.num_heads,
        num_kv_heads=layout.num_kv_heads,
        half=half,
        padded_half=power_of_2(half),
        tile_heads=TILE_HEADS,
        overlap=overlap,
        num_warps=4,
    )
    return queries
