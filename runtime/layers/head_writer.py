"""Between the projection and attention: heads are normalised, rotated, and written to the cache.

T rows, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.rotary_embedding import Rotation, rotate


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLayout:
    """Of one layer's projection."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    q_norm: RMSNorm | None
    """Of each query head before its rotation."""
    k_norm: RMSNorm | None
    """Likewise of key heads; there if ``q_norm`` is."""


class CacheRows(NamedTuple):
    """Where the new rows' keys and values go."""

    storage: KVStorage
    layer: int
    slots: Tensor | slice
    """int64 [T], or a slice of T slots."""


class RotatedHeads(NamedTuple):
    queries: Tensor
    """[T, H, D]."""
    keys: Tensor
    """[K, T, D], as they were before they were stored; anything, where attention reads the cache
    alone (``DeviceAttention``)."""
    values: Tensor
    """Likewise."""


class HeadWriter(Protocol):
    def __call__(
        self, qkv: Tensor, layout: HeadLayout, rotation: Rotation, cache: CacheRows
    ) -> RotatedHeads:
        """Rotate queries and keys, and write keys and values to the cache.

        Args:
            qkv: [T, (H + 2 K) * D]: queries, keys, values.
            layout: of these columns.
            rotation: of the rows' positions.
            cache: where they go.
        """
        ...


def write_heads(
    qkv: Tensor, layout: HeadLayout, rotation: Rotation, cache: CacheRows
) -> RotatedHeads:
    """One step after the other, in plain PyTorch."""
    num_kv_heads = layout.num_kv_heads
    queries, keys, values = qkv.view(len(qkv), -1, layout.head_dim).split(
        (layout.num_heads, num_kv_heads, num_kv_heads), dim=1
    )
    queries = rotate(layout.q_norm(queries) if layout.q_norm else queries, rotation)
    keys = rotate(layout.k_norm(keys) if layout.k_norm else keys, rotation).transpose(0, 1)
    values = values.transpose(0, 1)
    cache.storage.write(cache.layer, cache.slots, keys, values)
    return RotatedHeads(queries, keys, values)
