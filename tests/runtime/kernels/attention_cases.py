"""Layers of any shape with a cache full of random keys, and passes over them as device tensors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rnj_agent.runtime.config import LayerType, ModelConfig, RopeConfig
from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.kv_cache.buffer import KVDtype, QuantizedBuffer
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import DeviceAttention
from rnj_agent.runtime.layers.device_attention import DeviceTorchAttention

JUNK_BLOCK = 2**30
"""Stands in block tables where nothing may be read."""

ANY_CONFIG = ModelConfig(
    architecture="llama",
    vocab_size=16,
    hidden_size=16,
    intermediate_size=16,
    num_hidden_layers=1,
    num_attention_heads=1,
    num_key_value_heads=1,
    head_dim=16,
    max_position_embeddings=1 << 16,
    rms_norm_eps=1e-6,
    hidden_activation="silu",
    tie_word_embeddings=True,
    layer_types=("full_attention",),
    sliding_window=None,
    attention_scale=0.25,
    attn_logit_softcapping=None,
    final_logit_softcapping=None,
    rope=RopeConfig(rope_theta=10000.0),
    local_rope=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The new rows of one sequence."""

    seq_len: int
    """With them; 0: padding."""
    num_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Of one attention layer and its cache."""

    kv_heads: int
    group: int
    head_dim: int
    window: int | None = None
    softcap: float | None = None
    kv_dtype: KVDtype = "auto"
    dtype: torch.dtype = torch.bfloat16
    block_size: int = 64

    @property
    def layer_type(self) -> LayerType:
        return "sliding_attention" if self.window else "full_attention"

    def config(self) -> ModelConfig:
        return replace(
            ANY_CONFIG,
            num_key_value_heads=self.kv_heads,
            num_attention_heads=self.kv_heads * self.group,
            head_dim=self.head_dim,
            attention_scale=self.head_dim**-0.5,
            attn_logit_softcapping=self.softcap,
            layer_types=(self.layer_type,),
            sliding_window=self.window,
            local_rope=ANY_CONFIG.rope if self.window else None,
        )


@dataclass(slots=True, kw_only=True)
class Case:
    """A pass: each sequence has blocks of its own, in any order; what nobody wrote is NaN."""

    shape: Shape
    rows: Sequence[Rows]
    seed: int = 0
    num_spare_columns: int = 2
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    storage: KVStorage = field(init=False)
    batch: DeviceBatch = field(init=False)
    queries: Tensor = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        tables = self._block_tables()
        used = [block for table in tables for block in table]
        num_blocks = max(used, default=0) + 1
        self.storage = KVStorage(
            self.shape.config(),
            num_blocks=num_blocks,
            block_size=self.shape.block_size,
            dtype=self.shape.dtype,
            device=self.device,
            kv_dtype=self.shape.kv_dtype,
        )
        poison(self.storage)
        for table, rows in zip(tables, self.rows, strict=True):
            slots = slots_of(table, range(rows.seq_len), self.shape.block_size)
            keys, values = (
                self._random(generator, self.shape.kv_heads, rows.seq_len) for _ in range(2)
            )
            self.storage.write(0, slots.to(self.device), keys, values)
        self.batch = self._batch(tables)
        num_heads = self.shape.kv_heads * self.shape.group
        self.queries = self._random(generator, len(self.batch.positions), num_heads)

    def attend(self, attention: DeviceAttention) -> Tensor:
        """[T, H * D]."""
        attend = attention.prepare_device(self.batch, self.storage, self.shape.layer_type)
        nothing = self.queries.new_empty((self.shape.kv_heads, 0, self.shape.head_dim))
        return attend(0, self.queries, nothing, nothing)

    def expected(self) -> Tensor:
        """By the plain twin."""
        return self.attend(DeviceTorchAttention(self.shape.config()))

    def _random(self, generator: torch.Generator, *shape: int) -> Tensor:
        numbers = torch.randn(*shape, self.shape.head_dim, generator=generator)
        return numbers.to(self.device, self.shape.dtype)

    def _block_tables(self) -> list[list[int]]:
        counts = [-(-rows.seq_len // self.shape.block_size) for rows in self.rows]
        free = list(range(sum(counts) + 3))
        random.Random(self.seed).shuffle(free)
        return [[free.pop() for _ in range(count)] for count in counts]

    def _batch(self, tables: list[list[int]]) -> DeviceBatch:
        positions: list[int] = []
        slots: list[Tensor] = []
        for table, rows in zip(tables, self.rows, strict=True):
            own = range(rows.seq_len - rows.num_rows, rows.seq_len) if rows.seq_len else []
            positions += own or [0] * rows.num_rows
            spare = [self.storage.spare_block * self.shape.block_size] * rows.num_rows
            is_real = bool(rows.seq_len)
            slots.append(
                slots_of(table, own, self.shape.block_size) if is_real else torch.tensor(spare)
            )
        width = max(map(len, tables)) + self.num_spare_columns
        padded = [[*table, *[JUNK_BLOCK] * (width - len(table))] for table in tables]
        counts = torch.tensor([0, *(rows.num_rows for rows in self.rows)])
        return DeviceBatch(
            input_ids=torch.zeros(len(positions), dtype=torch.int64, device=self.device),
            positions=torch.tensor(positions, dtype=torch.int64, device=self.device),
            slots=torch.cat(slots).to(self.device),
            block_tables=torch.tensor(padded, dtype=torch.int32, device=self.device),
            cu_seqlens_q=counts.cumsum(0).to(self.device, torch.int32),
            seq_lens=torch.tensor(
                [rows.seq_len for rows in self.rows], dtype=torch.int32, device=self.device
            ),
            logit_rows=torch.zeros(0, dtype=torch.int64, device=self.device),
            max_query_len=max(rows.num_rows for rows in self.rows),
            max_seq_len=max(1, *(rows.seq_len for rows in self.rows)),
        )


def slots_of(table: Sequence[int], positions: Sequence[int], block_size: int) -> Tensor:
    """Where these positions of a sequence lie: int64."""
    slots = [table[i // block_size] * block_size + i % block_size for i in positions]
    return torch.tensor(slots, dtype=torch.int64)


def poison(storage: KVStorage) -> None:
    """NaN, or the largest number, in all slots."""
    for buffer in (*storage.keys, *storage.values):
        data, scales = _tensors(buffer)
        if scales is not None:
            data.view(torch.int8).fill_(0x7F)  # NaN in float8
            scales.fill_(float("nan"))
        else:
            data.fill_(float("nan"))


def _tensors(buffer: object) -> tuple[Tensor, Tensor | None]:
    if isinstance(buffer, QuantizedBuffer):
        return buffer.data, buffer.scales
    data = getattr(buffer, "data", None)
    assert isinstance(data, Tensor)
    return data, None


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """||actual - expected|| / ||expected||; NaN where there is one."""
    difference = torch.linalg.vector_norm(actual.double() - expected.double())
    return float(difference / torch.linalg.vector_norm(expected.double()).clamp(min=1e-30))
