"""Gemma 3's decoder layer, which is Rnj-1's: four norms, and normalised query and key heads."""

from __future__ import annotations

from rnj_agent.runtime.layers.residual import ResidualStream
from rnj_agent.runtime.layers.self_attention import ForwardContext
from rnj_agent.runtime.models.layer_weights import gated_mlp, self_attention
from rnj_agent.runtime.models.weight_reader import WeightReader


class Gemma3DecoderLayer:
    """x += norm(attention(norm(x))); x += norm(mlp(norm(x)))."""

    def __init__(self, weights: WeightReader, layer: int) -> None:
        prefix = f"model.layers.{layer}"
        size = weights.config.hidden_size
        self.input_layernorm = weights.norm(f"{prefix}.input_layernorm.weight", size)
        self.self_attn = self_attention(weights, layer)
        self.post_attention_layernorm = weights.norm(
            f"{prefix}.post_attention_layernorm.weight", size
        )
        self.pre_feedforward_layernorm = weights.norm(
            f"{prefix}.pre_feedforward_layernorm.weight", size
        )
        self.mlp = gated_mlp(weights, layer)
        self.post_feedforward_layernorm = weights.norm(
            f"{prefix}.post_feedforward_layernorm.weight", size
        )

    def __call__(self, x: ResidualStream, context: ForwardContext) -> None:
        """Add both layers' outputs."""
        qkv = x.project(self.input_layernorm, self.self_attn.qkv_proj)
        x.add(self.self_attn(qkv, context), self.post_attention_layernorm)
        gate_up = x.project(self.pre_feedforward_layernorm, self.mlp.gate_up_proj)
        x.add(self.mlp(gate_up), self.post_feedforward_layernorm)
