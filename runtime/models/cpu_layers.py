"""Decoder layers in one call, where compiled kernels cover the model, its cache and the pass.

The twin is the layers themselves, one after the other: the same kernels, so the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnj_agent.runtime.config import LayerType
from rnj_agent.runtime.kernels.cpu.layers import LayerParts, LayerStack, TypeOfLayers
from rnj_agent.runtime.kernels.cpu.library import Kernels, kernels
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.cpu_attention import CpuPass
from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.layers.self_attention import ForwardContext
from rnj_agent.runtime.models.gemma3 import Gemma3DecoderLayer
from rnj_agent.runtime.models.llama import LlamaDecoderLayer
from rnj_agent.runtime.quant.packed_linear import PackedLinear

Layer = LlamaDecoderLayer | Gemma3DecoderLayer


class CpuLayers:
    """A model's layers.

    Args:
        compiled: the kernels.
        layers: with packed projections.
    """

    def __init__(self, compiled: Kernels, layers: Sequence[Layer]) -> None:
        self._kernels = compiled
        self._layers = layers
        self._max_rows = min(
            projection.max_product_rows
            for layer in layers
            for projection in projections(layer)
            if isinstance(projection, PackedLinear)
        )
        self._types: list[LayerType] = list({layer.self_attn.layer_type for layer in layers})
        self._storage: KVStorage | None = None
        self._stack: LayerStack | None = None

    def __call__(self, x: Tensor, context: ForwardContext) -> Tensor | None:
        """What comes out of the last layer, [T, hidden]; None: this pass is not covered.

        Args:
            x: the embedded tokens, [T, hidden]; they are overwritten.
            context: of the pass.
        """
        types: list[TypeOfLayers] = []
        for layer_type in self._types:
            attention = context.attention[layer_type]
            rows = attention.few_rows_alone if isinstance(attention, CpuPass) else None
            if rows is None or x.shape[0] > self._max_rows:
                return None
            types.append(TypeOfLayers(rows, context.rotations[layer_type]))
        return self._stack_of(context.storage)(x, types, context.slots).added_to(x)

    def _stack_of(self, storage: KVStorage) -> LayerStack:
        """For this cache; there is one in the life of a model, nearly always."""
        if self._stack is None or self._storage is not storage:
            parts = [
                layer_parts(layer, storage, self._types.index(layer.self_attn.layer_type))
                for layer in self._layers
            ]
            self._storage, self._stack = storage, LayerStack(self._kernels, parts)
        return self._stack


def cpu_layers(layers: Sequence[object], dtype: torch.dtype) -> CpuLayers | None:
    """None where the kernels do not cover the model.

    Args:
        layers: of the model.
        dtype: of activations.
    """
    if dtype != torch.bfloat16 or (compiled := kernels()) is None:
        return None
    known = [layer for layer in layers if isinstance(layer, Layer) and is_packed(layer)]
    return CpuLayers(compiled, known) if len(known) == len(layers) else None


def projections(layer: Layer) -> tuple[Linear, Linear, Linear, Linear]:
    """q|k|v, o, gate|up, down."""
    attention, mlp = layer.self_attn, layer.mlp
    return attention.qkv_proj, attention.o_proj, mlp.gate_up_proj, mlp.down_proj


def is_packed(layer: Layer) -> bool:
    return all(isinstance(projection, PackedLinear) for projection in projections(layer))


def layer_parts(layer: Layer, storage: KVStorage, layer_type: int) -> LayerParts:
    attention, mlp = layer.self_attn, layer.mlp
    qkv, o, gate_up, down = projections(layer)
    assert isinstance(qkv, PackedLinear)
    assert isinstance(o, PackedLinear)
    assert isinstance(gate_up, PackedLinear)
    assert isinstance(down, PackedLinear)
    after_attention, before_mlp, after_mlp = _norms(layer)
    return LayerParts(
        qkv=qkv.weight,
        o=o.weight,
        gate_up=gate_up.weight,
        down=down.weight,
        input_norm=layer.input_layernorm,
        after_attention=after_attention,
        before_mlp=before_mlp,
        after_mlp=after_mlp,
        q_norm=attention.layout.q_norm,
        k_norm=attention.layout.k_norm,
        keys=storage.keys[attention.layer].data,
        values=storage.values[attention.layer].data,
        layer_type=layer_type,
        activation=mlp.activation,
    )


def _norms(layer: Layer) -> tuple[RMSNorm | None, RMSNorm, RMSNorm | None]:
    """After attention, before the MLP, after the MLP."""
    if isinstance(layer, Gemma3DecoderLayer):
        return (
            layer.post_attention_layernorm,
            layer.pre_feedforward_layernorm,
            layer.post_feedforward_layernorm,
        )
    return None, layer.post_attention_layernorm, None
