"""Prefill by torch's own FlashAttention, over a sequence's keys copied into one piece.

Torch's operator takes paged keys only in blocks of another shape, and only in newer versions; the
copy is small beside the products of a prompt's part.

T new tokens, S visible keys, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.kernels.gpu.attention_tile import AttentionShape
from rnj_agent.runtime.kernels.gpu.gather_keys import gather_keys
from rnj_agent.runtime.kv_cache.buffer import KVBuffer
from rnj_agent.runtime.kv_cache.storage import KVStorage

MAX_FLASH_HEAD_DIM = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptPart:
    """New rows of one sequence."""

    rows: slice
    """Of the pass."""
    block_table: Tensor
    """int32, on the device."""
    seq_len: int
    """Cached and new tokens."""

    @property
    def num_rows(self) -> int:
        return self.rows.stop - self.rows.start

    @property
    def start(self) -> int:
        """Cached tokens."""
        return self.seq_len - self.num_rows


FlashAttention: TypeAlias = Callable[[Tensor, Tensor, Tensor, AttentionShape], Tensor]
"""[T, H, D] from the same, and keys and values [S, K, D]; the last row sees the last key."""


class FlashPrefill:
    """Attention of some sequences of a pass.

    Args:
        parts: of the pass.
        storage: holds their keys, those of the new tokens too.
        shape: of the layers; without a soft-cap.
        flash: the operator.
    """

    def __init__(
        self,
        parts: Sequence[PromptPart],
        storage: KVStorage,
        shape: AttentionShape,
        flash: FlashAttention | None = None,
    ) -> None:
        assert shape.softcap is None
        self._parts = parts
        self._storage = storage
        self._shape = shape
        self._flash = flash or flash_attention

    def __call__(self, layer: int, queries: Tensor, output: Tensor) -> None:
        """Attend in one layer, and write the parts' rows of ``output``, [T, H, D] as queries."""
        keys, values = self._storage.keys[layer], self._storage.values[layer]
        for part in self._parts:
            rows = queries[part.rows]
            output[part.rows] = self._flash(
                rows,
                self._gather(keys, part, rows.dtype),
                self._gather(values, part, rows.dtype),
                self._shape,
            )

    def _gather(self, buffer: KVBuffer, part: PromptPart, dtype: torch.dtype) -> Tensor:
        """The keys, or values, that some row of the part sees: [S, K, D]."""
        block_size, window = self._shape.block_size, self._shape.window
        first_key = max(0, part.start - window + 1) if window else 0
        first_block, end_block = first_key // block_size, -(-part.seq_len // block_size)
        blocks = part.block_table[first_block:end_block]
        gathered = gather_keys(buffer, blocks, block_size=block_size, dtype=dtype)
        return gathered[:, : part.seq_len - first_block * block_size].transpose(0, 1)


def has_flash(shape: AttentionShape, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch's operator computes such layers here."""
    return (
        device.type == "cuda"
        and torch.backends.cuda.is_flash_attention_available()
        and torch.cuda.get_device_capability(device) >= (8, 0)
        and dtype in {torch.bfloat16, torch.float16}
        and shape.softcap is None
        and shape.head_dim % 8 == 0
        and shape.head_dim <= MAX_FLASH_HEAD_DIM
    )


def flash_attention(queries: Tensor, keys: Tensor, values: Tensor, shape: AttentionShape) -> Tensor:
    """Causal, the last rows at the last keys, with one set of keys for each group of heads.

    The operator is internal, but its form is the same from torch 2.6 to 2.13: what came later are
    optional arguments behind these.
    """
    operator: Any = torch.ops.aten._flash_attention_forward
    window = None if shape.window is None else shape.window - 1
    output, *_ = operator(
        queries[None],
        keys[None],
        values[None],
        None,  # cumulative lengths: one sequence needs none
        None,
        len(queries),
        len(keys),
        0.0,  # dropout
        True,
        False,  # no debug mask
        scale=shape.scale,
        window_size_left=window,
        window_size_right=None if window is None else 0,
    )
    return output[0]
