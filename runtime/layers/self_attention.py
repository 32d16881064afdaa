"""The attention layer: projections, normalised and rotated heads, cache, attention.

T new tokens, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from rnj_agent.runtime.config import LayerType, ModelConfig
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import PassAttention
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout, HeadWriter, write_heads
from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.layers.rotary_embedding import Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardContext:
    """What all layers of one forward pass share."""

    storage: KVStorage
    slots: Tensor | slice
    """Where the new tokens' keys and values go: int64 [T], or a slice of T slots."""
    rotations: Mapping[LayerType, Rotation]
    attention: Mapping[LayerType, PassAttention]
    write_heads: HeadWriter = write_heads


class SelfAttention:
    """One layer's attention.

    Args:
        config: sizes and scales.
        layer: which cache buffers and which layer type.
        qkv_proj: q, k and v as one projection, in this order; the decoder layer applies it.
        o_proj: back to the hidden size.
        q_norm: of each query head before its rotation; None: none.
        k_norm: likewise of key heads.
    """

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        *,
        qkv_proj: Linear,
        o_proj: Linear,
        q_norm: RMSNorm | None = None,
        k_norm: RMSNorm | None = None,
    ) -> None:
        self.layer = layer
        self.layer_type: LayerType = config.layer_types[layer]
        self.qkv_proj = qkv_proj
        self.o_proj = o_proj
        self.layout = HeadLayout(
            num_heads=config.num_attention_heads,
            num_kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            q_norm=q_norm,
            k_norm=k_norm,
        )

    def __call__(self, qkv: Tensor, context: ForwardContext) -> Tensor:
        """[T, (H + 2K) * D], what ``qkv_proj`` made of x, to [T, hidden]."""
        cache = CacheRows(context.storage, self.layer, context.slots)
        rotation = context.rotations[self.layer_type]
        heads = context.write_heads(qkv, self.layout, rotation, cache)
        attend = context.attention[self.layer_type]
        return self.o_proj(attend(self.layer, *heads))
