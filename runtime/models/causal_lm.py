"""A decoder-only language model: embedding, decoder layers, head.

T new tokens of all sequences, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from rnj_agent.runtime.config import Architecture, LayerType
from rnj_agent.runtime.device_batch import DeviceBatch, HostBatch, exact_shape
from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import AttentionBackend, DeviceAttention
from rnj_agent.runtime.layers.batch_rows import logit_rows, positions, slot_mapping
from rnj_agent.runtime.layers.cpu_attention import host_attention
from rnj_agent.runtime.layers.device_attention import device_attention
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.layers.residual import ResidualStream
from rnj_agent.runtime.layers.rotary_embedding import RotaryEmbedding, Rotation
from rnj_agent.runtime.layers.self_attention import ForwardContext
from rnj_agent.runtime.models.cpu_layers import cpu_layers
from rnj_agent.runtime.models.gemma3 import Gemma3DecoderLayer
from rnj_agent.runtime.models.llama import LlamaDecoderLayer
from rnj_agent.runtime.models.weight_reader import WeightReader
from rnj_agent.runtime.weights.names import EMBEDDING, HEAD

BLOCK_SIZE = 64
"""Tokens: few enough that prompts share most of what they have in common."""
ROPE_FREQS = "rope_freqs.weight"
"""GGUF's form of llama3 rope scaling: divisors of the frequencies."""


class DecoderLayer(Protocol):
    def __call__(self, x: ResidualStream, context: ForwardContext) -> None: ...


DECODER_LAYERS: Mapping[Architecture, Callable[[WeightReader, int], DecoderLayer]] = (
    MappingProxyType(
        {"gemma3": Gemma3DecoderLayer, "llama": LlamaDecoderLayer, "qwen2": LlamaDecoderLayer}
    )
)


class CausalLM:
    """A model in memory.

    Attributes:
        config: as the checkpoint says.
        dtype: of activations, and of the cache that ``forward`` needs.
        device: where it runs.
        cpu_layers: runs passes of few rows that it covers in one call; None: layer by layer.
        device_batches: whether ``forward`` runs passes as ``compute`` does: on GPUs.
    """

    def __init__(self, weights: WeightReader) -> None:
        config = weights.config
        self.config = config
        self.dtype = weights.dtype
        self.device = torch.device(weights.device)
        self.embed_tokens = weights.embedding(EMBEDDING, config.vocab_size, config.hidden_size)
        # Gemma rounds the scale to the weights' dtype, and was trained so
        scale = config.hidden_size**0.5 if config.architecture == "gemma3" else 1.0
        self.embedding_scale = torch.tensor(scale, dtype=self.dtype, device=self.device)
        decoder_layer = DECODER_LAYERS[config.architecture]
        self.layers = [decoder_layer(weights, layer) for layer in range(config.num_hidden_layers)]
        self.norm = weights.norm("model.norm.weight", config.hidden_size)
        self.lm_head = self._head(weights)
        self.rotary_embeddings = _rotary_embeddings(weights)
        self.attention: AttentionBackend = host_attention(config, self.dtype, self.device)
        self.device_attention: DeviceAttention = device_attention(config, self.device)
        self.device_batches = self.device.type == "cuda"
        self.cpu_layers = cpu_layers(self.layers, self.dtype) if self.device.type == "cpu" else None

    @torch.inference_mode()
    def forward(self, batch: ForwardBatch, storage: KVStorage) -> Tensor:
        """Compute the new tokens of some sequences, and keep their keys and values.

        Args:
            batch: the new tokens, each below V; their block tables have room for them.
            storage: from ``new_storage``.

        Returns:
            float32 [sum of num_logits, V], sequence after sequence.
        """
        if self.device_batches:
            shape = exact_shape(batch)
            packed = HostBatch(shape, storage).fill(batch).to(self.device, non_blocking=True)
            device_batch = replace(shape.views(packed), sequences=batch.sequences)
            return self.compute(device_batch, storage)
        hidden = self._hidden(batch.input_ids.to(self.device), self._context(batch, storage))
        return self._logits(hidden[logit_rows(batch, self.device)])

    @torch.inference_mode()
    def compute(self, batch: DeviceBatch, storage: KVStorage) -> Tensor:
        """``forward``, of a pass whose every number is on the device: nothing waits for another.

        Args:
            batch: as ``forward``'s.
            storage: from ``new_storage``.

        Returns:
            float32 [L, V].
        """
        hidden = self._hidden(batch.input_ids, self._device_context(batch, storage))
        if len(batch.logit_rows) == 0:
            return hidden.new_empty((0, self.config.vocab_size), dtype=torch.float32)
        return self._logits(hidden[batch.logit_rows])

    def new_storage(
        self, *, num_blocks: int, block_size: int = BLOCK_SIZE, kv_dtype: KVDtype = "auto"
    ) -> KVStorage:
        """Room for the keys and values of ``num_blocks * block_size`` tokens."""
        return KVStorage(
            self.config,
            num_blocks=num_blocks,
            block_size=block_size,
            dtype=self.dtype,
            device=self.device,
            kv_dtype=kv_dtype,
        )

    def _hidden(self, input_ids: Tensor, context: ForwardContext) -> Tensor:
        """[T, hidden], before the last norm."""
        x = self.embed_tokens(input_ids) * self.embedding_scale
        if self.cpu_layers and (hidden := self.cpu_layers(x, context)) is not None:
            return hidden
        stream = ResidualStream(x)
        for layer in self.layers:
            layer(stream, context)
        return stream.value()

    def _context(self, batch: ForwardBatch, storage: KVStorage) -> ForwardContext:
        return ForwardContext(
            storage=storage,
            slots=slot_mapping(batch, storage.block_size, self.device),
            rotations=self._rotations(positions(batch, self.device)),
            attention={
                layer_type: self.attention.prepare(batch, storage, layer_type)
                for layer_type in self.rotary_embeddings
            },
            write_heads=self.attention.write_heads,
        )

    def _device_context(self, batch: DeviceBatch, storage: KVStorage) -> ForwardContext:
        return ForwardContext(
            storage=storage,
            slots=batch.slots,
            rotations=self._rotations(batch.positions),
            attention={
                layer_type: self.device_attention.prepare_device(batch, storage, layer_type)
                for layer_type in self.rotary_embeddings
            },
            write_heads=self.device_attention.write_heads,
        )

    def _rotations(self, row_positions: Tensor) -> dict[LayerType, Rotation]:
        return {
            layer_type: rotary.rotation(row_positions)
            for layer_type, rotary in self.rotary_embeddings.items()
        }

    def _logits(self, x: Tensor) -> Tensor:
        logits = self.lm_head(self.norm(x)).float()
        softcap = self.config.final_logit_softcapping
        return logits if softcap is None else torch.tanh(logits / softcap) * softcap

    def _head(self, weights: WeightReader) -> Linear:
        """A head of its own if the checkpoint has one, else the embedding."""
        if weights.has(HEAD):
            return weights.linear(["lm_head"], [self.config.vocab_size], self.config.hidden_size)
        if not self.config.tie_word_embeddings:
            raise CheckpointError(
                f"{weights.checkpoint.path.name}: lm_head.weight is missing, "
                "and the config says that the embedding is not the head"
            )
        return weights.tied_head(self.embed_tokens)


def _rotary_embeddings(weights: WeightReader) -> dict[LayerType, RotaryEmbedding]:
    """One for each type of layer that the model has."""
    config = weights.config
    freq_factors = (
        weights.vector(ROPE_FREQS, config.head_dim // 2).cpu() if weights.has(ROPE_FREQS) else None
    )
    ropes = {"full_attention": config.rope, "sliding_attention": config.local_rope}
    return {
        layer_type: RotaryEmbedding(
            rope, head_dim=config.head_dim, device=weights.device, freq_factors=freq_factors
        )
        for layer_type in set(config.layer_types)
        if (rope := ropes[layer_type]) is not None
    }
