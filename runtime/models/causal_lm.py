"""A decoder-only language model: embedding, decoder layers, head.

T new tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import embedding

from rnj_agent.runtime.config import Architecture, LayerType
from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.kv_cache import KVCache
from rnj_agent.runtime.layers.attention import visible_keys
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.layers.rotary_embedding import RotaryEmbedding
from rnj_agent.runtime.layers.self_attention import ForwardContext
from rnj_agent.runtime.models.gemma3 import Gemma3DecoderLayer
from rnj_agent.runtime.models.llama import LlamaDecoderLayer
from rnj_agent.runtime.models.weight_reader import WeightReader

ROPE_FREQS = "rope_freqs.weight"
"""GGUF's form of llama3 rope scaling: divisors of the frequencies."""


class DecoderLayer(Protocol):
    def __call__(self, x: Tensor, context: ForwardContext) -> Tensor: ...


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
    """

    def __init__(self, weights: WeightReader) -> None:
        config = weights.config
        self.config = config
        self.dtype = weights.dtype
        self.device = torch.device(weights.device)
        self.embed_tokens = weights.matrix(
            "model.embed_tokens.weight", config.vocab_size, config.hidden_size
        )
        # Gemma rounds the scale to the weights' dtype, and was trained so
        scale = config.hidden_size**0.5 if config.architecture == "gemma3" else 1.0
        self.embedding_scale = torch.tensor(scale, dtype=self.dtype, device=self.device)
        decoder_layer = DECODER_LAYERS[config.architecture]
        self.layers = [decoder_layer(weights, layer) for layer in range(config.num_hidden_layers)]
        self.norm = weights.norm("model.norm.weight", config.hidden_size)
        self.lm_head = self._head(weights)
        self.rotary_embeddings = _rotary_embeddings(weights)

    @torch.inference_mode()
    def forward(self, input_ids: Tensor, kv_cache: KVCache, *, num_logits: int = 1) -> Tensor:
        """Append tokens to a sequence.

        Args:
            input_ids: int64 [T], T >= 1, each below V.
            kv_cache: the sequence so far; grows by T.
            num_logits: for how many of the last tokens logits are wanted, at most T.

        Returns:
            float32 [num_logits, V].

        Raises:
            EngineError: the cache has no room for T tokens; it is unchanged.
        """
        num_tokens = len(input_ids)
        assert num_tokens > 0
        assert 0 <= num_logits <= num_tokens
        kv_cache.check_room(num_tokens)
        context = self._context(kv_cache, num_tokens)
        x = embedding(input_ids.to(self.device), self.embed_tokens) * self.embedding_scale
        for layer in self.layers:
            x = layer(x, context)
        kv_cache.advance(num_tokens)
        return self._logits(x[num_tokens - num_logits :])

    def new_cache(self, capacity: int) -> KVCache:
        """A cache for ``capacity`` tokens, in this model's dtype and place."""
        return KVCache(self.config, capacity=capacity, dtype=self.dtype, device=self.device)

    def _context(self, kv_cache: KVCache, num_tokens: int) -> ForwardContext:
        start = kv_cache.length
        windows: Mapping[LayerType, int | None] = {
            "full_attention": None,
            "sliding_attention": self.config.sliding_window,
        }
        return ForwardContext(
            kv_cache=kv_cache,
            rotations={
                layer_type: rotary.rotation(start, num_tokens)
                for layer_type, rotary in self.rotary_embeddings.items()
            },
            visible_keys={
                layer_type: visible_keys(start, num_tokens, windows[layer_type], self.device)
                for layer_type in self.rotary_embeddings
            },
        )

    def _logits(self, x: Tensor) -> Tensor:
        logits = self.lm_head(self.norm(x)).float()
        softcap = self.config.final_logit_softcapping
        return logits if softcap is None else torch.tanh(logits / softcap) * softcap

    def _head(self, weights: WeightReader) -> Linear:
        """A head of its own if the checkpoint has one, else the embedding."""
        if weights.has("lm_head.weight"):
            return weights.linear(["lm_head"], [self.config.vocab_size], self.config.hidden_size)
        if not self.config.tie_word_embeddings:
            raise CheckpointError(
                f"{weights.checkpoint.path.name}: lm_head.weight is missing, "
                "and the config says that the embedding is not the head"
            )
        return weights.make_linear(self.embed_tokens, None)


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
