"""The two layers that all models here share, built from their weights, with projections fused."""

from __future__ import annotations

from rnj_agent.runtime.layers.mlp import GatedMLP
from rnj_agent.runtime.layers.self_attention import SelfAttention
from rnj_agent.runtime.models.weight_reader import WeightReader


def self_attention(weights: WeightReader, layer: int) -> SelfAttention:
    """``model.layers.N.self_attn``, with q, k and v as one projection."""
    config, prefix = weights.config, f"model.layers.{layer}.self_attn"
    query_size = config.num_attention_heads * config.head_dim
    key_size = config.num_key_value_heads * config.head_dim
    q_norm, k_norm = (
        weights.norm(f"{prefix}.{name}.weight", config.head_dim) if config.has_qk_norm else None
        for name in ("q_norm", "k_norm")
    )
    return SelfAttention(
        config,
        layer,
        qkv_proj=weights.linear(
            [f"{prefix}.q_proj", f"{prefix}.k_proj", f"{prefix}.v_proj"],
            [query_size, key_size, key_size],
            config.hidden_size,
            bias=config.has_qkv_bias,
        ),
        o_proj=weights.linear([f"{prefix}.o_proj"], [config.hidden_size], query_size),
        q_norm=q_norm,
        k_norm=k_norm,
    )


def gated_mlp(weights: WeightReader, layer: int) -> GatedMLP:
    """``model.layers.N.mlp``, with gate and up as one projection."""
    config, prefix = weights.config, f"model.layers.{layer}.mlp"
    return GatedMLP(
        weights.linear(
            [f"{prefix}.gate_proj", f"{prefix}.up_proj"],
            [config.intermediate_size, config.intermediate_size],
            config.hidden_size,
        ),
        weights.linear([f"{prefix}.down_proj"], [config.hidden_size], config.intermediate_size),
        config.hidden_activation,
    )
