from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import TorchAttention
from rnj_agent.runtime.layers.attention_plan import MAX_PACKED_TOKENS, SEGMENT, attention_plan
from rnj_agent.runtime.layers.batch_rows import slot_mapping
from rnj_agent.runtime.layers.key_source import Blocks, Run
from rnj_agent.runtime.layers.masked_attention import MaskedAttention
from rnj_agent.runtime.layers.scaled_attention import plain_attention, scaled_attention
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import llama_config, random_weights, write_safetensors

BLOCK_SIZE = 64
CPU = torch.device("cpu")
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 2e-2}
STARTS = [0, 1, 63, 64, 65, 512, 1000]


@pytest.fixture(scope="module")
def any_config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    raw = llama_config(num_hidden_layers=1)
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    return open_checkpoint(write_safetensors(folder, raw, random_weights(raw))).config


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Of one attention layer."""

    kv_heads: int
    group: int
    head_dim: int

    def config(self, base: ModelConfig) -> ModelConfig:
        return replace(
            base,
            num_key_value_heads=self.kv_heads,
            num_attention_heads=self.kv_heads * self.group,
            head_dim=self.head_dim,
            attention_scale=self.head_dim**-0.5,
        )


QWEN = Shape(kv_heads=2, group=6, head_dim=128)
SHAPES = [
    pytest.param(Shape(kv_heads=3, group=1, head_dim=64), id="no groups"),
    pytest.param(Shape(kv_heads=3, group=3, head_dim=64), id="groups of 3"),
    pytest.param(QWEN, id="groups of 6"),
    pytest.param(Shape(kv_heads=1, group=4, head_dim=256), id="one wide head"),
    pytest.param(Shape(kv_heads=1, group=40, head_dim=64), id="a group beyond one call"),
]


class Layer:
    """One layer's storage, full of random keys, and queries for its tokens."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        num_blocks: int = 48,
        dtype: torch.dtype = torch.float32,
        kv_dtype: KVDtype = "auto",
    ) -> None:
        torch.manual_seed(0)
        self.config = config
        self.dtype = dtype
        self.storage = KVStorage(
            config, num_blocks=num_blocks, block_size=BLOCK_SIZE, dtype=dtype, kv_dtype=kv_dtype
        )
        num_slots = num_blocks * BLOCK_SIZE
        self.keys = self._random(config.num_key_value_heads, num_slots)
        self.values = self._random(config.num_key_value_heads, num_slots)
        self.storage.write(0, slice(0, num_slots), self.keys, self.values)

    def queries(self, num_rows: int) -> Tensor:
        return self._random(num_rows, self.config.num_attention_heads)

    def attend(self, batch: ForwardBatch, queries: Tensor) -> Tensor:
        """[T, H * D]. The new tokens' keys are those that are in the storage already."""
        slots = slot_mapping(batch, BLOCK_SIZE, CPU)
        attention = TorchAttention(self.config, CPU).prepare(batch, self.storage, "full_attention")
        return attention(0, queries, self.keys[:, slots], self.values[:, slots])

    def expected(self, batch: ForwardBatch, queries: Tensor) -> Tensor:
        """By the plain masked path."""
        masked = MaskedAttention(
            batch, self.storage, window=None, scale=self.config.attention_scale, softcap=None
        )
        return masked(0, queries, self.keys, self.values)

    def error(self, batch: ForwardBatch) -> float:
        queries = self.queries(len(batch.input_ids))
        difference = self.attend(batch, queries) - self.expected(batch, queries)
        return float(difference.abs().max())

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, self.config.head_dim).to(self.dtype)


def sequence(block_table: Sequence[int], start: int, num_tokens: int) -> SequenceRows:
    return SequenceRows(
        block_table=block_table, start=start, num_tokens=num_tokens, num_logits=num_tokens
    )


def batch_of(*sequences: SequenceRows) -> ForwardBatch:
    num_tokens = sum(rows.num_tokens for rows in sequences)
    return ForwardBatch(
        input_ids=torch.zeros(num_tokens, dtype=torch.int64), sequences=tuple(sequences)
    )


def scattered(first: int, count: int) -> list[int]:
    """Blocks none of which follows the one before."""
    return list(range(first + 2 * count - 2, first - 1, -2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_tokens", [1, 4, MAX_PACKED_TOKENS, MAX_PACKED_TOKENS + 1, 100])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_sequence_equals_the_masked_path(
    any_config: ModelConfig, shape: Shape, num_tokens: int, dtype: torch.dtype
) -> None:
    layer = Layer(shape.config(any_config), dtype=dtype)
    for start in STARTS:
        for table in (range(3, 24), scattered(0, 20)):
            assert layer.error(batch_of(sequence(table, start, num_tokens))) <= TOLERANCE[dtype]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_mixed_batches_equal_the_masked_path(any_config: ModelConfig, data: st.DataObject) -> None:
    """Sequences in any number of pieces, some with a common beginning."""
    layer = Layer(Shape(kv_heads=2, group=3, head_dim=16).config(any_config), num_blocks=80)
    order = data.draw(st.sampled_from([range(80), range(79, -1, -1), scattered(0, 40)]))
    shared_blocks = data.draw(st.integers(0, 20))
    sequences: list[SequenceRows] = []
    free = list(order[shared_blocks:])
    for _ in range(data.draw(st.integers(1, 4))):
        own, free = free[:5], free[5:]
        table = [*order[:shared_blocks], *own]
        first_own = shared_blocks * BLOCK_SIZE
        start = data.draw(st.integers(first_own, first_own + 2 * BLOCK_SIZE))
        num_tokens = data.draw(st.sampled_from([1, 2, 5, 16, 17, 80]))
        sequences.append(sequence(table, start, num_tokens))
    assert layer.error(batch_of(*sequences)) <= TOLERANCE[torch.float32]


@pytest.mark.parametrize(("kv_dtype", "tolerance"), [("bf16", 0.02), ("fp8", 0.15), ("int8", 0.03)])
@pytest.mark.parametrize("num_tokens", [1, 4, 100])
def test_quantised_keys_stay_near_exact_ones(
    any_config: ModelConfig, kv_dtype: KVDtype, tolerance: float, num_tokens: int
) -> None:
    exact = Layer(QWEN.config(any_config))
    layer = Layer(QWEN.config(any_config), kv_dtype=kv_dtype)
    batch = batch_of(sequence(range(3, 24), 1000, num_tokens))
    queries = layer.queries(num_tokens)
    assert torch.equal(exact.keys, layer.keys)
    difference = layer.attend(batch, queries) - exact.expected(batch, queries)
    assert difference.abs().max() <= tolerance
    assert difference.any()


@pytest.mark.parametrize(
    ("shape", "kv_dtype", "start"),
    [
        *((shape.values[0], "auto", start) for shape in SHAPES[:4] for start in (61, 1020)),
        (QWEN, "int8", 1020),
        (QWEN, "fp8", 1020),
    ],
)
def test_a_row_in_bfloat16_does_not_depend_on_what_is_computed_with_it(
    any_config: ModelConfig, shape: Shape, kv_dtype: KVDtype, start: int
) -> None:
    """Bit for bit: alone, with drafts, elsewhere in memory, beside others, as one of a family."""
    layer = Layer(shape.config(any_config), num_blocks=90, dtype=torch.bfloat16, kv_dtype=kv_dtype)
    table = list(range(20))
    queries = layer.queries(8)
    alone = torch.cat(
        [
            layer.attend(batch_of(sequence(table, start + i, 1)), queries[i : i + 1])
            for i in range(8)
        ]
    )
    for num_tokens in (2, 3, 4, 5, 8):
        batch = batch_of(sequence(table, start, num_tokens))
        assert torch.equal(layer.attend(batch, queries[:num_tokens]), alone[:num_tokens])
    other = sequence(range(60, 90), 1600, 3)
    rows = torch.cat([layer.queries(3), queries[:4]])
    beside = layer.attend(batch_of(other, sequence(table, start, 4)), rows)
    assert torch.equal(beside[3:], alone[:4])
    family = [sequence(table, start + i, 1) for i in range(8)]
    assert torch.equal(layer.attend(batch_of(*family), queries), alone)
    moved = scattered(20, 20)
    for source, target in zip(table, moved, strict=True):
        layer.storage.copy_block(source, target)
    batch = batch_of(sequence(moved, start, 4))
    assert torch.equal(layer.attend(batch, queries[:4]), alone[:4])


def test_a_shared_prefix_is_read_once() -> None:
    prefix = list(range(20))
    tables = [[*prefix, *range(30 + 5 * i, 35 + 5 * i)] for i in range(4)]
    plan = attention_plan(
        batch_of(*(sequence(table, 1400, 1) for table in tables)),
        block_size=BLOCK_SIZE,
        group=6,
        device=CPU,
    )
    shared, *last = plan.segments
    assert shared.num_rows == len(tables)
    assert shared.source == Run(first_slot=0, end_slot=2 * SEGMENT)
    assert shared.num_segments == 2
    assert [call.num_rows for call in last] == [1] * len(tables)


def test_blocks_side_by_side_are_read_in_place_and_others_are_copied() -> None:
    (*_, tail) = attention_plan(
        batch_of(sequence(scattered(0, 10), 600, 2)), block_size=BLOCK_SIZE, group=6, device=CPU
    ).segments
    assert isinstance(tail.source, Blocks)
    few_runs = [*range(10), *range(20, 30)]
    (chunk,) = attention_plan(
        batch_of(sequence(few_runs, 1000, 100)), block_size=BLOCK_SIZE, group=6, device=CPU
    ).chunks
    assert chunk.cached == (
        Run(first_slot=0, end_slot=640),
        Run(first_slot=1280, end_slot=1640),
    )


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("num_rows", [1, 2, 33])
def test_the_kernel_equals_plain_products(num_rows: int, is_causal: bool) -> None:
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 3, num_rows, 64), torch.randn(2, 3, 33, 64)
    if is_causal:
        queries = torch.randn(2, 3, 33, 64)
    masks = [None] if is_causal else [None, torch.randn(1, 1, num_rows, 33)]
    for mask in masks:
        fast = scaled_attention(queries, keys, keys, scale=0.2, mask=mask, is_causal=is_causal)
        plain = plain_attention(queries, keys, keys, scale=0.2, mask=mask, is_causal=is_causal)
        assert torch.allclose(fast.output, plain.output, atol=1e-5)
        assert torch.allclose(fast.logsumexp, plain.logsumexp, atol=1e-5)
