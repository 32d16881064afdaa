"""Attention over the paged cache on a GPU: of decode steps, of drafts to verify, and of prompts.

Sequences with up to ``MAX_DECODE_ROWS`` new rows go to ``paged_decode``. A pass of such sequences
alone reads nothing on the host, so it may be captured in a CUDA graph; one with longer ones brings
its lengths to the host first, once for each layer type.

Importing this module needs Triton; ``device_attention`` imports it where there is one.

T new tokens, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.config import LayerType, ModelConfig
from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.kernels.gpu.attention_tile import AttentionShape
from rnj_agent.runtime.kernels.gpu.paged_decode import (
    DecodeSplits,
    Parts,
    new_parts,
    num_tiles,
    paged_decode,
)
from rnj_agent.runtime.kernels.gpu.prefill_attention import prefill_attention
from rnj_agent.runtime.kernels.gpu.rope_cache_write import rope_cache_write
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import PassAttention, window_of
from rnj_agent.runtime.layers.device_attention import DeviceTorchAttention
from rnj_agent.runtime.layers.flash_prefill import FlashPrefill, PromptPart, has_flash
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout, RotatedHeads
from rnj_agent.runtime.layers.rotary_embedding import Rotation

PrefillKernel: TypeAlias = Literal["flash", "triton"]
"""Torch's own, or ours."""

MAX_DECODE_ROWS = 16
"""New rows of a sequence up to which it is decoded, not prefilled."""
FEW_SEQUENCES, SEVERAL_SEQUENCES = 8, 32
PART_LENS = (256, 512, 1024)
"""Tokens of a part where few, several or more sequences are decoded: short ones, because few
sequences must fill the card; long ones, because each part takes memory (16 KB a row of Rnj-1)."""
PROGRAMS_PER_PROCESSOR = 2
MIN_SPLITS = 2
"""Of a sequence, however many there are: one may be far longer than the others."""
INTERPRETED_PROCESSORS = 2


class TritonAttention:
    """Attention by Triton kernels, and by torch's operator where that is the faster.

    Args:
        config: of the model.
        device: a CUDA device, or the CPU in Triton's interpreter.
        prefill: None: "flash" where torch has it for these layers.
    """

    def __init__(
        self, config: ModelConfig, device: torch.device, *, prefill: PrefillKernel | None = None
    ) -> None:
        self._config = config
        self._device = device
        self._prefill: PrefillKernel | None = prefill
        self._plain = DeviceTorchAttention(config)
        is_gpu = device.type == "cuda"
        self._overlap = is_gpu and torch.cuda.get_device_capability(device) >= (9, 0)
        self._has_fp8 = not is_gpu or torch.cuda.get_device_capability(device) >= (8, 9)
        num_processors = (
            torch.cuda.get_device_properties(device).multi_processor_count
            if is_gpu
            else INTERPRETED_PROCESSORS
        )
        self._num_programs = num_processors * PROGRAMS_PER_PROCESSOR

    def write_heads(
        self, qkv: Tensor, layout: HeadLayout, rotation: Rotation, cache: CacheRows
    ) -> RotatedHeads:
        """As ``HeadWriter`` says, in one kernel."""
        if not self._covers(cache.storage):
            return self._plain.write_heads(qkv, layout, rotation, cache)
        queries = rope_cache_write(qkv, layout, rotation, cache, overlap=self._overlap)
        return RotatedHeads(queries, queries[:0], queries[:0])

    def prepare_device(
        self, batch: DeviceBatch, storage: KVStorage, layer_type: LayerType
    ) -> PassAttention:
        if not self._covers(storage):
            return self._plain.prepare_device(batch, storage, layer_type)
        shape = attention_shape(self._config, layer_type, storage.block_size)
        if batch.max_query_len <= MAX_DECODE_ROWS:
            bounds = DecodeBounds(len(batch.seq_lens), batch.max_query_len, batch.max_seq_len)
            return TritonPass([self._decode(batch, storage, shape, bounds)])
        parts = prompt_parts(batch)
        decoded = [part for part in parts if 0 < part.num_rows <= MAX_DECODE_ROWS]
        prompts = [part for part in parts if part.num_rows > MAX_DECODE_ROWS]
        kernels = [self._prompts(batch, storage, shape, prompts)]
        if decoded:
            max_rows = max(part.num_rows for part in decoded)
            max_seq_len = max(1, *(part.seq_len for part in decoded))
            bounds = DecodeBounds(len(decoded), max_rows, max_seq_len)
            kernels.append(self._decode(batch, storage, shape, bounds))
        return TritonPass(kernels)

    def _covers(self, storage: KVStorage) -> bool:
        """Triton knows float8 only on cards whose matrix units do, from Ada on."""
        return self._has_fp8 or storage.kv_dtype != "fp8"

    def _decode(
        self, batch: DeviceBatch, storage: KVStorage, shape: AttentionShape, bounds: DecodeBounds
    ) -> RowsAttention:
        splits = decode_splits(shape, bounds, num_programs=self._num_programs)
        parts = new_parts(batch, shape, splits)
        return Decode(batch, storage, shape, splits, parts, overlap=self._overlap)

    def _prompts(
        self,
        batch: DeviceBatch,
        storage: KVStorage,
        shape: AttentionShape,
        prompts: Sequence[PromptPart],
    ) -> RowsAttention:
        if self._prefill != "triton" and has_flash(shape, storage.dtype, self._device):
            return FlashPrefill(prompts, storage, shape)
        return TritonPrefill(batch, storage, shape)


class RowsAttention(Protocol):
    """Attention of some sequences of a pass."""

    def __call__(self, layer: int, queries: Tensor, output: Tensor) -> None:
        """Attend in one layer, and write these sequences' rows of ``output``; both [T, H, D]."""
        ...


class TritonPass:
    """Attention of one pass.

    Args:
        kernels: for each sequence one that writes its rows.
    """

    def __init__(self, kernels: Sequence[RowsAttention]) -> None:
        self._kernels = kernels

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """As ``PassAttention`` says; reads the new tokens from the cache."""
        output = torch.empty_like(queries, memory_format=torch.contiguous_format)
        for attend in self._kernels:
            attend(layer, queries, output)
        return output.flatten(1)


@dataclass(frozen=True, slots=True)
class Decode:
    """Of sequences with up to ``splits.max_rows`` rows."""

    batch: DeviceBatch
    storage: KVStorage
    shape: AttentionShape
    splits: DecodeSplits
    parts: Parts
    overlap: bool

    def __call__(self, layer: int, queries: Tensor, output: Tensor) -> None:
        paged_decode(
            queries,
            self.storage.keys[layer],
            self.storage.values[layer],
            self.batch,
            self.parts,
            output,
            self.shape,
            self.splits,
            overlap=self.overlap,
        )


@dataclass(frozen=True, slots=True)
class TritonPrefill:
    """Of sequences with more than ``MAX_DECODE_ROWS`` rows."""

    batch: DeviceBatch
    storage: KVStorage
    shape: AttentionShape

    def __call__(self, layer: int, queries: Tensor, output: Tensor) -> None:
        prefill_attention(
            queries,
            self.storage.keys[layer],
            self.storage.values[layer],
            self.batch,
            output,
            self.shape,
            min_rows=MAX_DECODE_ROWS + 1,
        )


def attention_shape(config: ModelConfig, layer_type: LayerType, block_size: int) -> AttentionShape:
    """Of the model's layers of a type, over a cache of such blocks."""
    return AttentionShape(
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        block_size=block_size,
        window=window_of(config, layer_type),
        scale=config.attention_scale,
        softcap=config.attn_logit_softcapping,
    )


class DecodeBounds(NamedTuple):
    """Of a pass's sequences that are decoded."""

    num_sequences: int
    max_rows: int
    """Of one."""
    max_seq_len: int


def decode_splits(
    shape: AttentionShape, bounds: DecodeBounds, *, num_programs: int
) -> DecodeSplits:
    """Enough programs to fill the card, none of them without a part of the longest sequence.

    How long parts are depends on the number of sequences alone, so a row's bits do not change with
    the rows that are verified beside it.

    Args:
        shape: of the layers.
        bounds: of what is decoded.
        num_programs: that fill the card.
    """
    few, several, many = PART_LENS
    part_len = several if bounds.num_sequences <= SEVERAL_SEQUENCES else many
    part_len = max(few if bounds.num_sequences <= FEW_SEQUENCES else part_len, shape.block_size)
    num_groups = bounds.num_sequences * shape.num_kv_heads * num_tiles(shape, bounds.max_rows)
    num_parts = -(-bounds.max_seq_len // part_len)
    return DecodeSplits(
        max_rows=bounds.max_rows,
        max_seq_len=bounds.max_seq_len,
        part_len=part_len,
        num_splits=min(num_parts, max(MIN_SPLITS, -(-num_programs // num_groups))),
    )


def prompt_parts(batch: DeviceBatch) -> list[PromptPart]:
    """All sequences of a pass; waits for the device where the host does not know them."""
    if batch.sequences is None:
        numbers: list[int] = torch.cat((batch.cu_seqlens_q, batch.seq_lens)).tolist()
        bounds, seq_lens = numbers[: len(batch.cu_seqlens_q)], numbers[len(batch.cu_seqlens_q) :]
    else:
        bounds = [0, *accumulate(rows.num_tokens for rows in batch.sequences)]
        seq_lens = [rows.start + rows.num_tokens for rows in batch.sequences]
    return [
        PromptPart(rows=slice(*rows), block_table=block_table, seq_len=seq_len)
        for rows, block_table, seq_len in zip(
            pairwise(bounds), batch.block_tables, seq_lens, strict=True
        )
    ]
