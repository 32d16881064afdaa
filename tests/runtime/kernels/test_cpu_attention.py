from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kernels.cpu.attention import BLOCK_SIZE
from rnj_agent.runtime.kernels.cpu.isa import Isa
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import TorchAttention
from rnj_agent.runtime.layers.batch_rows import slot_mapping
from rnj_agent.runtime.layers.cpu_attention import CpuAttention
from rnj_agent.runtime.layers.masked_attention import MaskedAttention
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.kernels.cpu_isas import ISAS, kernels_or_skip
from tests.runtime.model_checkpoints import llama_config, random_weights, write_safetensors

NUM_BLOCKS = 24
CPU = torch.device("cpu")
NUM_SHAPES = 170
"""In each instruction set: 510 in all."""
TOLERANCE = 2e-2


@pytest.fixture(scope="module")
def any_config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    raw = llama_config(num_hidden_layers=1)
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    return open_checkpoint(write_safetensors(folder, raw, random_weights(raw))).config


@pytest.fixture(autouse=True)
def some_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def shaped(
    base: ModelConfig,
    *,
    kv_heads: int,
    group: int,
    head_dim: int,
    window: int | None = None,
    softcap: float | None = None,
) -> ModelConfig:
    return replace(
        base,
        num_key_value_heads=kv_heads,
        num_attention_heads=kv_heads * group,
        head_dim=head_dim,
        attention_scale=head_dim**-0.5,
        sliding_window=window,
        local_rope=base.rope,
        attn_logit_softcapping=softcap,
        layer_types=("sliding_attention" if window else "full_attention",),
    )


@cache
def many_numbers() -> Tensor:
    """Drawn once: any stretch of them serves as keys or values."""
    count = 3 * (NUM_BLOCKS + 1) * BLOCK_SIZE * 256 + 1000 + NUM_SHAPES
    return torch.randn(count, generator=torch.Generator().manual_seed(0)).bfloat16()


class Cache:
    """One layer's storage, full of random keys and values, and queries."""

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.config = config
        self.storage = KVStorage(
            config, num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE, dtype=torch.bfloat16
        )
        first = seed
        for buffer in (self.storage.keys[0], self.storage.values[0]):
            count = buffer.data.numel()
            buffer.data.view(-1).copy_(many_numbers()[first : first + count])
            first += 1000

    def queries(self, num_rows: int) -> Tensor:
        shape = (num_rows, self.config.num_attention_heads, self.config.head_dim)
        return torch.randn(shape, generator=self.random).bfloat16()

    def attend(self, isa: Isa, batch: ForwardBatch, queries: Tensor) -> Tensor:
        """[T, H * D], by the kernel."""
        slots = slot_mapping(batch, BLOCK_SIZE, CPU)
        attention = CpuAttention(
            self.config, kernels_or_skip(isa), TorchAttention(self.config, CPU)
        ).prepare(batch, self.storage, self.config.layer_types[0])
        keys, values = self.storage.keys[0].data, self.storage.values[0].data
        return attention(0, queries, keys[:, slots], values[:, slots])

    def expected(self, batch: ForwardBatch, queries: Tensor) -> Tensor:
        """By the plain path, in float32."""
        wide = KVStorage(
            self.config, num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE, dtype=torch.float32
        )
        wide.keys[0].data.copy_(self.storage.keys[0].data)
        wide.values[0].data.copy_(self.storage.values[0].data)
        masked = MaskedAttention(
            batch,
            wide,
            window=self.config.sliding_window,
            scale=self.config.attention_scale,
            softcap=self.config.attn_logit_softcapping,
        )
        nothing = queries[:0].float()
        return masked(0, queries.float(), nothing, nothing)


def batch_of(*sequences: SequenceRows) -> ForwardBatch:
    num_tokens = sum(rows.num_tokens for rows in sequences)
    return ForwardBatch(
        input_ids=torch.zeros(num_tokens, dtype=torch.int64), sequences=tuple(sequences)
    )


def sequence(block_table: list[int], start: int, num_tokens: int) -> SequenceRows:
    return SequenceRows(block_table=block_table, start=start, num_tokens=num_tokens, num_logits=1)


def random_batch(random: Random) -> ForwardBatch:
    """Up to three sequences, some of whose blocks may be the same, nearly all with few rows."""
    sequences: list[SequenceRows] = []
    for _ in range(random.randint(1, 3)):
        table = random.sample(range(NUM_BLOCKS), random.randint(1, 12))
        num_tokens = random.choice([1, 1, 2, 3, 4, 8, 16, 33])
        start = random.randint(0, len(table) * BLOCK_SIZE - num_tokens)
        sequences.append(sequence(table, start, num_tokens))
    return batch_of(*sequences)


@pytest.mark.parametrize("isa", ISAS)
def test_random_batches_equal_the_plain_path(any_config: ModelConfig, isa: Isa) -> None:
    random = Random(7)
    for seed in range(NUM_SHAPES):
        config = shaped(
            any_config,
            kv_heads=random.choice([1, 2, 3]),
            group=random.choice([1, 2, 3, 4, 6, 7, 13]),
            head_dim=random.choice([32, 64, 96, 128, 256]),
            window=random.choice([None, None, 5, 64, 100, 300]),
            softcap=random.choice([None, None, 5.0]),
        )
        layer = Cache(config, seed)
        batch = random_batch(random)
        queries = layer.queries(len(batch.input_ids))
        torch.set_num_threads(random.choice([1, 2, 3]))
        attended = layer.attend(isa, batch, queries)
        error = (attended - layer.expected(batch, queries)).abs().max()
        assert error <= TOLERANCE, (seed, config.head_dim, config.sliding_window, batch.sequences)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("group", "head_dim", "window", "start"),
    [(6, 128, None, 252), (1, 64, None, 61), (3, 64, 100, 508), (4, 256, None, 1000)],
)
def test_a_row_does_not_depend_on_what_is_computed_with_it(
    any_config: ModelConfig, isa: Isa, group: int, head_dim: int, window: int | None, start: int
) -> None:
    """Bit for bit: alone, with drafts, beside others, elsewhere in memory, on more threads."""
    config = shaped(any_config, kv_heads=2, group=group, head_dim=head_dim, window=window)
    layer = Cache(config)
    table = list(range(16, -1, -1))
    queries = layer.queries(8)
    torch.set_num_threads(1)
    alone = torch.cat(
        [
            layer.attend(isa, batch_of(sequence(table, start + i, 1)), queries[i : i + 1])
            for i in range(8)
        ]
    )
    torch.set_num_threads(2)
    for num_tokens in (2, 3, 4, 5, 8):
        batch = batch_of(sequence(table, start, num_tokens))
        assert torch.equal(layer.attend(isa, batch, queries[:num_tokens]), alone[:num_tokens])
    rows = torch.cat([layer.queries(3), queries[:4], layer.queries(33)])
    others = sequence(table, 5, 3), sequence(list(range(17)), 900, 33)
    beside = batch_of(others[0], sequence(table, start, 4), others[1])
    assert torch.equal(layer.attend(isa, beside, rows)[3:7], alone[:4])
    moved = [*range(17, NUM_BLOCKS), *range(17)][:17]
    copy = Cache(config)
    for source, target in zip(table, moved, strict=True):
        for mine, other in zip(
            (copy.storage.keys[0], copy.storage.values[0]),
            (layer.storage.keys[0], layer.storage.values[0]),
            strict=True,
        ):
            here = slice(target * BLOCK_SIZE, (target + 1) * BLOCK_SIZE)
            there = slice(source * BLOCK_SIZE, (source + 1) * BLOCK_SIZE)
            mine.data[:, here] = other.data[:, there]
    batch = batch_of(sequence(moved, start, 4))
    assert torch.equal(copy.attend(isa, batch, queries[:4]), alone[:4])


@pytest.mark.parametrize("isa", ISAS)
def test_what_was_never_written_does_not_matter(any_config: ModelConfig, isa: Isa) -> None:
    config = shaped(any_config, kv_heads=1, group=2, head_dim=64)
    layer = Cache(config)
    batch = batch_of(sequence([3], 5, 2))
    queries = layer.queries(2)
    expected = layer.attend(isa, batch, queries)
    for buffer in (layer.storage.keys[0], layer.storage.values[0]):
        buffer.data[:, 3 * BLOCK_SIZE + 7 :] = float("nan")
    assert torch.equal(layer.attend(isa, batch, queries), expected)
