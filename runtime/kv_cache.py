"""The keys and values of one sequence, in buffers that never move. Not paged, not shared.

Positions of a sequence, half-open ranges:

    [0, length)           cached: computed, and read by every later token
    [length, length + T)  being written by the forward pass of T tokens; dropped if it fails
    [.., capacity)        free: allocated, never read

K key/value heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import EngineError


class KVCache:
    """Room for ``capacity`` tokens.

    Attributes:
        length: how many tokens are cached.
        keys: one a layer, [K, capacity, D].
        values: likewise.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        capacity: int,
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
    ) -> None:
        assert capacity > 0, "a cache holds at least one token"
        shape = (config.num_key_value_heads, capacity, config.head_dim)
        layers = range(config.num_hidden_layers)
        self.capacity = capacity
        self.length = 0
        # empty, not zeros: pages that were never written cost no memory
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in layers]
        self.values = [torch.empty(shape, dtype=dtype, device=device) for _ in layers]

    @property
    def size_bytes(self) -> int:
        """When full."""
        return sum(buffer.nbytes for buffer in (*self.keys, *self.values))

    def check_room(self, num_tokens: int) -> None:
        """Raise ``EngineError`` unless that many more tokens fit."""
        if self.length + num_tokens > self.capacity:
            raise EngineError(
                f"{self.length} cached and {num_tokens} new tokens exceed the cache's "
                f"{self.capacity}",
                hint="Use a shorter prompt or a larger context.",
            )

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Put [K, T, D] behind the cached tokens of one layer; ``advance`` makes them count."""
        end = self.length + keys.shape[1]
        self.keys[layer][:, self.length : end] = keys
        self.values[layer][:, self.length : end] = values

    def advance(self, num_tokens: int) -> None:
        """Count tokens that every layer has written."""
        assert self.length + num_tokens <= self.capacity
        self.length += num_tokens

    def truncate(self, length: int) -> None:
        """Forget everything from ``length`` on: the prefix stays valid."""
        assert 0 <= length <= self.length, "a cache can only be cut, not grown"
        self.length = length
