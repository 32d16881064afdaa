"""Decode attention over long contexts, for each way of sharing a sequence among programs.

What is found best is for ``decode_splits`` (``runtime/layers/triton_attention.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.gpu.engine_steps import known_ceilings
from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from benchmarks.gpu.timing import seconds_each
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.kernels.gpu.attention_tile import AttentionShape
from rnj_agent.runtime.kernels.gpu.paged_decode import (
    DecodeSplits,
    new_parts,
    paged_decode,
)
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.storage import KVStorage, kv_bytes_per_token
from rnj_agent.runtime.layers.triton_attention import DecodeBounds, decode_splits

BLOCK_SIZE = 64
NUM_LAYERS = 4
"""Of the cache: so many different keys are read in turn."""
NUM_PROGRAMS = 264
"""Two for each of an H200's multiprocessors."""
RESERVE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    num_seqs: int
    context: int
    num_rows: int = 1
    """Of each sequence: more than 1 in verify passes."""
    kv_dtype: KVDtype = "auto"

    @property
    def name(self) -> str:
        keys = "" if self.kv_dtype == "auto" else f", {self.kv_dtype} cache"
        rows = "" if self.num_rows == 1 else f", {self.num_rows} rows"
        return f"batch {self.num_seqs} at {self.context}{rows}{keys}"


CASES = (
    Case(num_seqs=1, context=1024),
    Case(num_seqs=1, context=8192),
    Case(num_seqs=1, context=30000),
    Case(num_seqs=8, context=8192),
    Case(num_seqs=32, context=8192),
    Case(num_seqs=128, context=1024),
    Case(num_seqs=1, context=30000, num_rows=8),
    Case(num_seqs=32, context=8192, kv_dtype="fp8"),
)
TINY_CASES = (Case(num_seqs=2, context=70),)
PART_LENS = (128, 256, 512, 1024)


def attention(recorder: StepRecorder, place: Workplace) -> None:
    deadline = time.monotonic() + place.limit_s - RESERVE_S
    bandwidth = known_ceilings(place).read_bytes_per_s
    ways: list[dict[str, Any]] = []
    for case in TINY_CASES if place.dry_run else CASES:
        layers = CachedLayers(case, place)
        splits = layers.default_splits()
        seconds = layers.seconds(splits)
        rate = layers.bytes_per_layer / seconds
        recorder.value(
            f"attention, {case.name}",
            rate / 1e9,
            "GB/s",
            share=rate / bandwidth,
            detail=f"{1e6 * seconds:.1f} us a layer, parts of {splits.part_len}, "
            f"{splits.num_splits} splits",
        )
        for other in () if place.dry_run else _others(splits):
            if time.monotonic() > deadline:
                recorder.note("Not all ways were tried, the time was over.")
                return
            rate = layers.bytes_per_layer / layers.seconds(other)
            ways.append(
                {
                    "case": case.name,
                    "part_len": other.part_len,
                    "num_splits": other.num_splits,
                    "share": rate / bandwidth,
                }
            )
            say(str(ways[-1]))
            recorder.keep("ways", ways)


class CachedLayers:
    """A cache full of random keys and values, and one pass that decodes."""

    def __init__(self, case: Case, place: Workplace) -> None:
        checkpoint = SyntheticCheckpoint(place.shape)
        full: ModelConfig = checkpoint.config
        config = replace(
            full,
            num_hidden_layers=NUM_LAYERS,
            layer_types=("full_attention",) * NUM_LAYERS,
        )
        self._case = case
        self._device = torch.device(place.device)
        blocks_each = -(-case.context // BLOCK_SIZE)
        self._storage = KVStorage(
            config,
            num_blocks=case.num_seqs * blocks_each,
            block_size=BLOCK_SIZE,
            dtype=torch.bfloat16,
            device=self._device,
            kv_dtype=case.kv_dtype,
        )
        self._fill(config)
        self._shape = AttentionShape(
            num_heads=config.num_attention_heads,
            num_kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            block_size=BLOCK_SIZE,
            window=None,
            scale=config.attention_scale,
            softcap=None,
        )
        self._batch = self._pass(blocks_each)
        num_rows = case.num_seqs * case.num_rows
        self._queries = torch.randn(
            num_rows,
            config.num_attention_heads,
            config.head_dim,
            dtype=torch.bfloat16,
            device=self._device,
        )
        per_token = kv_bytes_per_token(config, torch.bfloat16, case.kv_dtype) / NUM_LAYERS
        self.bytes_per_layer = per_token * case.num_seqs * case.context

    def default_splits(self) -> DecodeSplits:
        case = self._case
        bounds = DecodeBounds(case.num_seqs, case.num_rows, case.context)
        return decode_splits(self._shape, bounds, num_programs=NUM_PROGRAMS)

    def seconds(self, splits: DecodeSplits) -> float:
        """Of one layer."""
        parts = new_parts(self._batch, self._shape, splits)
        output = torch.empty_like(self._queries)

        def layer(number: int) -> Callable[[], None]:
            return lambda: paged_decode(
                self._queries,
                self._storage.keys[number],
                self._storage.values[number],
                self._batch,
                parts,
                output,
                self._shape,
                splits,
            )

        return seconds_each([layer(number) for number in range(NUM_LAYERS)], self._device)

    def _fill(self, config: ModelConfig) -> None:
        num_slots = self._storage.num_blocks * BLOCK_SIZE
        size = (config.num_key_value_heads, num_slots, config.head_dim)
        for layer in range(NUM_LAYERS):
            keys = torch.randn(size, dtype=torch.bfloat16, device=self._device)
            self._storage.write(layer, slice(0, num_slots), keys, keys.roll(1, 1))

    def _pass(self, blocks_each: int) -> DeviceBatch:
        """Blocks of the sequences lie anywhere, as in a cache that has been used."""
        case = self._case
        generator = torch.Generator().manual_seed(0)
        blocks = torch.randperm(case.num_seqs * blocks_each, generator=generator)
        tables = blocks.view(case.num_seqs, blocks_each).int()
        positions = torch.arange(case.context - case.num_rows, case.context)
        positions = positions.repeat(case.num_seqs)
        sequences = torch.arange(case.num_seqs).repeat_interleave(case.num_rows)
        slots = tables[sequences, positions // BLOCK_SIZE] * BLOCK_SIZE + positions % BLOCK_SIZE
        num_rows = len(positions)
        to = self._device
        return DeviceBatch(
            input_ids=torch.zeros(num_rows, dtype=torch.int64, device=to),
            positions=positions.to(to),
            slots=slots.long().to(to),
            block_tables=tables.to(to),
            cu_seqlens_q=torch.arange(0, num_rows + 1, case.num_rows, dtype=torch.int32).to(to),
            seq_lens=torch.full((case.num_seqs,), case.context, dtype=torch.int32, device=to),
            logit_rows=torch.arange(num_rows, device=to),
            max_query_len=case.num_rows,
            max_seq_len=case.context,
        )


def _others(splits: DecodeSplits) -> list[DecodeSplits]:
    pairs = sorted(
        {
            (part_len, min(-(-splits.max_seq_len // part_len), splits.num_splits * factor))
            for part_len in PART_LENS
            for factor in (1, 2)
        }
    )
    return [replace(splits, part_len=length, num_splits=number) for length, number in pairs]
