"""One step of softmax attention over the paged cache, which decode and prefill kernels share.

A tile is keys of one block of the cache; a program keeps, for each of its query rows, the largest
score so far, and the sum of weights and of weighted values relative to it.

8-bit caches are widened in registers, exactly: int8 to the queries' dtype; float8 to float16, which
Hopper has an instruction for, while bfloat16 takes it eight times as long. Their scales multiply
scores and weights.

M query rows, N keys of a tile, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from rnj_agent.runtime.kernels.gpu.launch import INTERPRETED, power_of_2
from rnj_agent.runtime.kernels.gpu.rounding import cast
from rnj_agent.runtime.kv_cache.buffer import KVBuffer

LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)
HEADROOM: tl.constexpr = tl.constexpr(15.0)
"""Weights are up to 2^15, not 1, so that small ones keep their digits in float16."""
FLOAT16_MAX: tl.constexpr = tl.constexpr(65504.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionShape:
    """Of the layers of one type."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    block_size: int
    """Of the cache: a power of 2 from 16 on."""
    window: int | None
    """How many positions, its own included, a token sees; None: all before it."""
    scale: float
    """Multiplies the scores."""
    softcap: float | None
    """Bounds the scaled scores to +-softcap, smoothly; None: not at all."""

    def __post_init__(self) -> None:
        assert self.block_size >= 16
        assert self.block_size == power_of_2(self.block_size), "a tile of keys lies in one block"

    @property
    def group(self) -> int:
        """Query heads of a key/value head."""
        return self.num_heads // self.num_kv_heads

    @property
    def padded_dim(self) -> int:
        """What ``head_dim`` is in a kernel."""
        return power_of_2(max(self.head_dim, 16))

    @property
    def tile_keys(self) -> int:
        """Of a step."""
        return min(self.block_size, 64 if self.head_dim <= 128 else 32)


def dot_dtype(queries: Tensor, keys: KVBuffer) -> tl.dtype:
    """What keys and values are widened to, if they must be; see the module."""
    if queries.dtype == torch.float32 or (INTERPRETED and queries.dtype == torch.bfloat16):
        return tl.float32  # the interpreter multiplies the bits of bfloat16 as if they were numbers
    is_fp8 = keys.data.dtype == torch.float8_e4m3fn
    return tl.bfloat16 if queries.dtype == torch.bfloat16 and not is_fp8 else tl.float16


@triton.jit
def capped(scores: tl.tensor, softcap: tl.tensor) -> tl.tensor:
    """Scores bounded to softcap * tanh(scores / softcap); the exponential may overflow."""
    return softcap - 2.0 * softcap / (1.0 + tl.exp2(scores * (2.0 * LOG2_E / softcap)))


@triton.jit
def attend_tile(
    query: tl.tensor,
    position: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    key_scales: tl.tensor,
    value_scales: tl.tensor,
    table: tl.tensor,
    head_slots: tl.tensor,
    tile: tl.tensor,
    end: tl.tensor,
    largest: tl.tensor,
    total: tl.tensor,
    output: tl.tensor,
    scale: tl.tensor,
    softcap: tl.tensor,
    head_dim: tl.constexpr,
    padded_dim: tl.constexpr,
    block_size: tl.constexpr,
    window: tl.constexpr | None,
    tile_keys: tl.constexpr,
    dtype: tl.dtype,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Attend to the positions [tile, tile + tile_keys) below ``end``.

    Args:
        query: [M, padded_dim], in ``dtype``.
        position: of each row: it sees keys up to there.
        keys: the cache's data [K, S, D].
        values: likewise.
        key_scales: [K, S]; None: 1.
        value_scales: likewise.
        table: the sequence's blocks.
        head_slots: the slot at which the key/value head begins.
        tile: a multiple of ``tile_keys``.
        end: of what may be read.
        largest: float32 [M].
        total: float32 [M].
        output: float32 [M, padded_dim].
        scale: of scores.
        softcap: of scores; None: none.
        head_dim: D.
        padded_dim: a power of 2.
        block_size: of the cache.
        window: of the layer; None: none.
        tile_keys: N.
        dtype: of products.

    Returns:
        ``largest``, ``total`` and ``output`` with these keys.
    """
    key = tile + tl.arange(0, tile_keys)
    dim = tl.arange(0, padded_dim)
    is_key = key < end
    block = tl.load(table + tile // block_size).to(tl.int64)
    slot = head_slots + block * block_size + tile % block_size + tl.arange(0, tile_keys)
    # nobody wrote the slots behind the last key: a NaN there would survive a weight of 0
    key_tile = tl.load(
        keys + slot[None, :] * head_dim + dim[:, None],
        mask=is_key[None, :] & (dim < head_dim)[:, None],
        other=0.0,
    )
    value_tile = tl.load(
        values + slot[:, None] * head_dim + dim[None, :],
        mask=is_key[:, None] & (dim < head_dim)[None, :],
        other=0.0,
    )
    scores = tl.dot(query, cast(key_tile, dtype), input_precision="ieee") * scale
    if key_scales is not None:
        key_scale = tl.load(key_scales + slot, mask=is_key, other=0.0)
        scores *= key_scale.to(tl.float32)[None, :]
    if softcap is not None:
        scores = capped(scores, softcap)
    visible = is_key[None, :] & (key[None, :] <= position[:, None])
    if window is not None:
        visible &= key[None, :] > position[:, None] - window
    scores = tl.where(visible, scores * LOG2_E, float("-inf"))

    new_largest = tl.maximum(largest, tl.max(scores, axis=1))
    # -inf - -inf would be NaN where a row has seen no key yet
    base = tl.where(new_largest == float("-inf"), 0.0, new_largest)
    weights = tl.exp2(scores - (base - HEADROOM)[:, None])
    shrink = tl.exp2(largest - base)
    total = total * shrink + tl.sum(weights, axis=1)
    if value_scales is not None:
        value_scale = tl.load(value_scales + slot, mask=is_key, other=0.0)
        weights *= value_scale.to(tl.float32)[None, :]
    if dtype == tl.float16:
        weights = tl.minimum(weights, FLOAT16_MAX)
    attended = tl.dot(cast(weights, dtype), cast(value_tile, dtype), input_precision="ieee")
    return new_largest, total, output * shrink[:, None] + attended
