"""Attention on a CPU: decode steps and drafts by our own kernel, prompts by torch's operators.

T new tokens, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnj_agent.runtime.config import LayerType, ModelConfig
from rnj_agent.runtime.forward_batch import ForwardBatch
from rnj_agent.runtime.kernels.cpu.attention import (
    BLOCK_SIZE,
    AttentionShape,
    PlacedRows,
    RowsAttention,
)
from rnj_agent.runtime.kernels.cpu.heads import HeadKernel
from rnj_agent.runtime.kernels.cpu.library import Kernels, kernels
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import (
    AttentionBackend,
    PassAttention,
    TorchAttention,
    window_of,
)
from rnj_agent.runtime.layers.attention_plan import MAX_PACKED_TOKENS
from rnj_agent.runtime.layers.batch_rows import first_rows
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout, RotatedHeads
from rnj_agent.runtime.layers.rotary_embedding import Rotation


def host_attention(
    config: ModelConfig, dtype: torch.dtype, device: torch.device
) -> AttentionBackend:
    """The fastest that runs there.

    Args:
        config: of the model.
        dtype: of activations.
        device: of the model.
    """
    plain = TorchAttention(config, device)
    if device.type != "cpu" or dtype != torch.bfloat16 or (compiled := kernels()) is None:
        return plain
    return CpuAttention(config, compiled, plain)


class CpuAttention:
    """Attention by the compiled kernels, where they cover the model and its cache.

    Args:
        config: of the model.
        compiled: the kernels.
        plain: computes what they do not cover.
    """

    def __init__(self, config: ModelConfig, compiled: Kernels, plain: TorchAttention) -> None:
        self._config = config
        self._kernels = compiled
        self._plain = plain
        self._write_heads = HeadKernel(compiled)

    def write_heads(
        self, qkv: Tensor, layout: HeadLayout, rotation: Rotation, cache: CacheRows
    ) -> RotatedHeads:
        """As ``HeadWriter`` says, in one kernel."""
        write = self._write_heads if is_covered(cache.storage) else self._plain.write_heads
        return write(qkv, layout, rotation, cache)

    def prepare(
        self, batch: ForwardBatch, storage: KVStorage, layer_type: LayerType
    ) -> PassAttention:
        shape = attention_shape(self._config, layer_type)
        if not (shape.is_covered and is_covered(storage)):
            return self._plain.prepare(batch, storage, layer_type)
        prompts: list[PromptRows] = []
        rows: list[PlacedRows] = []
        for first_row, sequence in zip(first_rows(batch), batch.sequences, strict=True):
            if sequence.num_tokens <= MAX_PACKED_TOKENS:
                rows.append(PlacedRows(first_row=first_row, sequence=sequence))
                continue
            place = slice(first_row, first_row + sequence.num_tokens)
            alone = ForwardBatch(input_ids=batch.input_ids[place], sequences=(sequence,))
            attend = self._plain.prepare(alone, storage, layer_type)
            prompts.append(PromptRows(place, attend))
        if not rows and len(prompts) == 1:
            return prompts[0].attend
        few_rows = self._few_rows(rows, batch, storage, shape)
        return CpuPass(storage, few_rows, prompts)

    def _few_rows(
        self, rows: list[PlacedRows], batch: ForwardBatch, storage: KVStorage, shape: AttentionShape
    ) -> RowsAttention | None:
        if not rows:
            return None
        return RowsAttention(
            self._kernels,
            shape,
            rows,
            num_rows=len(batch.input_ids),
            num_slots=storage.keys[0].data.shape[1],
        )


@dataclass(frozen=True, slots=True)
class PromptRows:
    """A sequence with more rows than the kernel takes."""

    rows: slice
    attend: PassAttention


class CpuPass:
    """Attention of one pass.

    Args:
        storage: holds the keys and values.
        few_rows: of all sequences with few rows; None: there is none.
        prompts: the other sequences.
    """

    def __init__(
        self, storage: KVStorage, few_rows: RowsAttention | None, prompts: list[PromptRows]
    ) -> None:
        self._storage = storage
        self._few_rows = few_rows
        self._prompts = prompts

    @property
    def few_rows_alone(self) -> RowsAttention | None:
        """Attention of all rows, where every sequence has few; else None."""
        return None if self._prompts else self._few_rows

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """As ``PassAttention`` says."""
        output = torch.empty(queries.shape, dtype=queries.dtype)
        if self._few_rows is not None:
            cached = self._storage.keys[layer].data, self._storage.values[layer].data
            self._few_rows(queries, *cached, output)
        for prompt in self._prompts:
            rows = prompt.rows
            attended = prompt.attend(layer, queries[rows], keys[:, rows], values[:, rows])
            output[rows] = attended.view_as(output[rows])
        return output.flatten(1)


def attention_shape(config: ModelConfig, layer_type: LayerType) -> AttentionShape:
    return AttentionShape(
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        scale=config.attention_scale,
        window=window_of(config, layer_type),
        softcap=config.attn_logit_softcapping,
    )


def is_covered(storage: KVStorage) -> bool:
    """Whether the kernels read and write a cache like this."""
    stored = storage.keys[0].data.dtype
    return stored == storage.dtype == torch.bfloat16 and storage.block_size == BLOCK_SIZE
