"""Keys and values of all cached tokens: one pair of buffers a layer, cut into blocks of slots.

A slot holds one token: block b is the slots [b * block_size, (b + 1) * block_size). Which sequence
owns which block is not known here; ``ForwardBatch`` names the slots of each pass. Behind the blocks
lies one that no sequence owns: rows that only fill up a pass (``DeviceBatch``) write there.

K key/value heads, D head size, T tokens. Buffers are head-major, [K, num_slots, D], so that blocks
that lie side by side are one matrix for every head, and are read without a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.kv_cache.buffer import (
    SCALE_DTYPE,
    DenseBuffer,
    KVBuffer,
    KVDtype,
    QuantizedBuffer,
)

QUANTIZED_DTYPES = {"fp8": torch.float8_e4m3fn, "int8": torch.int8}


class KeysValues(NamedTuple):
    """[K, n, D] each, in the compute dtype."""

    keys: Tensor
    values: Tensor


class KVStorage:
    """Room for ``num_blocks * block_size`` tokens.

    Args:
        config: layers, heads and their size.
        num_blocks: how many blocks.
        block_size: tokens in a block.
        dtype: what is written and read: the model's compute dtype.
        device: where.
        kv_dtype: how it is kept.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        num_blocks: int,
        block_size: int,
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
        kv_dtype: KVDtype = "auto",
    ) -> None:
        assert num_blocks > 0
        assert block_size > 0
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.dtype = dtype
        self.device = torch.device(device)
        self.kv_dtype: KVDtype = kv_dtype
        new_buffer = self._buffer_factory(config)
        layers = range(config.num_hidden_layers)
        self.keys = [new_buffer() for _ in layers]
        self.values = [new_buffer() for _ in layers]

    @property
    def spare_block(self) -> int:
        """Behind the last of ``num_blocks``: nobody's, for what padding rows write."""
        return self.num_blocks

    @property
    def size_bytes(self) -> int:
        """When every block has been written, the spare one too."""
        return sum(buffer.size_bytes for buffer in (*self.keys, *self.values))

    def write(self, layer: int, slots: Tensor | slice, keys: Tensor, values: Tensor) -> None:
        """Store T tokens.

        Args:
            layer: of the model.
            slots: where each goes: int64 [T], or a slice of T slots.
            keys: [K, T, D].
            values: likewise.
        """
        self.keys[layer].write(slots, keys)
        self.values[layer].write(slots, values)

    def run(self, layer: int, first_slot: int, end_slot: int) -> KeysValues:
        """The slots [first_slot, end_slot): a view, unless it must be converted."""
        return KeysValues(
            self.keys[layer].run(first_slot, end_slot), self.values[layer].run(first_slot, end_slot)
        )

    def gather(self, layer: int, block_ids: Tensor, num_tokens: int) -> KeysValues:
        """A copy of the first ``num_tokens`` slots of these blocks (int64), in their order."""
        assert num_tokens <= len(block_ids) * self.block_size
        return KeysValues(
            self.keys[layer].gather(block_ids, self.block_size)[:, :num_tokens],
            self.values[layer].gather(block_ids, self.block_size)[:, :num_tokens],
        )

    def copy_block(self, src: int, dst: int) -> None:
        """All layers of block ``src`` into block ``dst``."""
        for buffer in (*self.keys, *self.values):
            buffer.copy(src * self.block_size, dst * self.block_size, self.block_size)

    def _buffer_factory(self, config: ModelConfig) -> Callable[[], KVBuffer]:
        num_slots = (self.num_blocks + 1) * self.block_size
        shape = (config.num_key_value_heads, num_slots, config.head_dim)
        if (quantized := QUANTIZED_DTYPES.get(self.kv_dtype)) is not None:
            return lambda: QuantizedBuffer(
                shape, dtype=self.dtype, stored=quantized, device=self.device
            )
        stored = torch.bfloat16 if self.kv_dtype == "bf16" else self.dtype
        return lambda: DenseBuffer(shape, dtype=self.dtype, stored=stored, device=self.device)


def kv_bytes_per_token(config: ModelConfig, dtype: torch.dtype, kv_dtype: KVDtype = "auto") -> int:
    """What one token takes in all layers, keys and values and their scales.

    Args:
        config: layers, heads and their size.
        dtype: the model's compute dtype, which "auto" keeps.
        kv_dtype: how it is kept.
    """
    if kv_dtype in QUANTIZED_DTYPES:
        head_bytes = config.head_dim + SCALE_DTYPE.itemsize
    else:
        stored = torch.bfloat16 if kv_dtype == "bf16" else dtype
        head_bytes = config.head_dim * stored.itemsize
    return 2 * config.num_hidden_layers * config.num_key_value_heads * head_bytes
