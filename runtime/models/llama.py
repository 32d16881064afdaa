"""Llama's decoder layer, which is also Qwen2's: Qwen2 adds biases to q, k and v."""

from __future__ import annotations

from rnj_agent.runtime.layers.residual import ResidualStream
from rnj_agent.runtime.layers.self_attention import ForwardContext
from rnj_agent.runtime.models.layer_weights import gated_mlp, self_attention
from rnj_agent.runtime.models.weight_reader import WeightReader


class LlamaDecoderLayer:
    """x += attention(norm(x)); x += mlp(norm(x))."""

    def __init__(self, weights: WeightReader, layer: int) -> None:
        prefix = f"model.layers.{layer}"
        size = weights.config.hidden_size
        self.input_layernorm = weights.norm(f"{prefix}.input_layernorm.weight", size)
        self.self_attn = self_attention(weights, layer)
        self.post_attention_layernorm = weights.norm(
            f"{prefix}.post_attention_layernorm.weight", size
        )
        self.mlp = gated_mlp(weights, layer)

    def __call__(self, x: ResidualStream, context: ForwardContext) -> None:
        """Add both layers' outputs."""
        qkv = x.project(self.input_layernorm, self.self_attn.qkv_proj)
        x.add(self.self_attn(qkv, context))
        gate_up = x.project(self.post_attention_layernorm, self.mlp.gate_up_proj)
        x.add(self.mlp(gate_up))
