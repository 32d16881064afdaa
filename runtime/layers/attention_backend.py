"""What a model asks of attention, so that a device's own kernels can take its place.

T new tokens of all sequences, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rnj_agent.runtime.config import LayerType, ModelConfig
from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_plan import attention_plan
from rnj_agent.runtime.layers.head_writer import HeadWriter, write_heads
from rnj_agent.runtime.layers.masked_attention import MaskedAttention
from rnj_agent.runtime.layers.paged_attention import PagedAttention


class PassAttention(Protocol):
    """Attention of one pass, in all layers of a type."""

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend in one layer, after its keys and values were written.

        Args:
            layer: of the model.
            queries: [T, H, D].
            keys: [K, T, D], of the new tokens.
            values: likewise.

        Returns:
            [T, H * D].
        """
        ...


class AttentionBackend(Protocol):
    """Attention on a device."""

    @property
    def write_heads(self) -> HeadWriter:
        """What writes its passes' new keys and values (``ForwardContext.write_heads``)."""
        ...

    def prepare(
        self, batch: ForwardBatch, storage: KVStorage, layer_type: LayerType
    ) -> PassAttention:
        """Plan a pass, once for all layers of the type."""
        ...


class DeviceAttention(Protocol):
    """Attention whose passes are described by tensors on the device, as CUDA graphs need it."""

    @property
    def write_heads(self) -> HeadWriter:
        """What writes its passes' new keys and values (``ForwardContext.write_heads``)."""
        ...

    def prepare_device(
        self, batch: DeviceBatch, storage: KVStorage, layer_type: LayerType
    ) -> PassAttention:
        """Plan a pass, once for all layers of the type.

        What it returns reads the new tokens' keys and values from the cache alone, where they were
        written before: its arguments ``keys`` and ``values`` may be anything.
        """
        ...


class TorchAttention:
    """Attention by torch's own operators: parts without masks where the model allows it.

    Args:
        config: of the model.
        device: of the model.
    """

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self.write_heads: HeadWriter = write_heads

    def prepare(
        self, batch: ForwardBatch, storage: KVStorage, layer_type: LayerType
    ) -> PassAttention:
        config = self._config
        window = window_of(config, layer_type)
        softcap = config.attn_logit_softcapping
        if window or softcap:
            return MaskedAttention(
                batch, storage, window=window, scale=config.attention_scale, softcap=softcap
            )
        plan = attention_plan(
            batch,
            block_size=storage.block_size,
            group=config.num_attention_heads // config.num_key_value_heads,
            device=self._device,
        )
        return PagedAttention(plan, storage, scale=config.attention_scale)


def window_of(config: ModelConfig, layer_type: LayerType) -> int | None:
    """How many positions, its own included, a token of such a layer sees; None: all before it."""
    return config.sliding_window if layer_type == "sliding_attention" else None
