"""Rotating and writing heads in one kernel, against one step after the other."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.config import RopeConfig
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout, write_heads
from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.rotary_embedding import RotaryEmbedding, Rotation
from tests.runtime.kernels.attention_cases import ANY_CONFIG, poison, relative_error
from tests.runtime.kernels.kernel_device import DEVICE

from rnj_agent.runtime.layers.triton_attention import (  # isort: skip - needs Triton
    TritonAttention,
)

NUM_SEEDS = 10
SHAPES_OF_A_SEED = 20
BLOCK_SIZE = 16
YARN = RopeConfig(
    rope_theta=10000.0,
    rope_type="yarn",
    factor=4.0,
    original_max_position_embeddings=8192,
    attention_factor=1.1386,
    beta_fast=64.0,
    beta_slow=1.0,
)
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 1e-3}
"""Relative to all heads of the pass: sums of squares and products are added in another order, which
moves few numbers over a rounding's edge."""
QUANTIZED_TOLERANCE = {"auto": 0.0, "fp8": 4e-3, "int8": 1e-3}
"""Where the rounding's edge is one of 8 bits."""


class Heads:
    """A projection's random output, and storages for what two writers make of it."""

    def __init__(self, rng: random.Random, *, kv_dtype: KVDtype, dtype: torch.dtype) -> None:
        torch.manual_seed(rng.randrange(1 << 30))
        self.kv_dtype: KVDtype = kv_dtype
        num_kv_heads, head_dim = (
            rng.choice([1, 2, 3, 8, 9]),
            rng.choice([16, 32, 48, 64, 96, 128, 256]),
        )
        num_heads = num_kv_heads * rng.randint(1, 5 if num_kv_heads < 3 else 1)
        has_norms = rng.random() < 0.5
        norms = [_norm(head_dim) if has_norms else None for _ in range(2)]
        self.layout = HeadLayout(
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            q_norm=norms[0],
            k_norm=norms[1],
        )
        self.config = replace(
            ANY_CONFIG,
            num_attention_heads=num_heads,
            num_key_value_heads=num_kv_heads,
            head_dim=head_dim,
        )
        num_rows = rng.randint(1, 3 if num_kv_heads < 8 else 1)
        self.qkv = _random(rng, num_rows, (num_heads + 2 * num_kv_heads) * head_dim).to(dtype)
        self.slots = torch.randperm(4 * BLOCK_SIZE)[:num_rows].to(DEVICE)
        positions = torch.tensor([rng.randrange(32768) for _ in range(num_rows)], device=DEVICE)
        rotary = RotaryEmbedding(YARN, head_dim=head_dim, device=DEVICE)
        self.rotation: Rotation = rotary.rotation(positions)

    def storage(self) -> KVStorage:
        storage = KVStorage(
            self.config,
            num_blocks=4,
            block_size=BLOCK_SIZE,
            dtype=self.qkv.dtype,
            device=DEVICE,
            kv_dtype=self.kv_dtype,
        )
        poison(storage)
        return storage


def _norm(head_dim: int) -> RMSNorm:
    return RMSNorm((torch.rand(head_dim) + 0.5).to(DEVICE), 1e-6)


def _random(rng: random.Random, num_rows: int, num_columns: int) -> Tensor:
    """Each row of another size; one in eight is 0."""
    sizes = torch.tensor([[rng.choice([1e-4, 1.0, 300.0])] for _ in range(num_rows)])
    zero = torch.tensor([[rng.random() < 0.125] for _ in range(num_rows)])
    return (torch.randn(num_rows, num_columns) * sizes).masked_fill(zero, 0.0).to(DEVICE)


def written(storage: KVStorage) -> Tensor:
    """All slots' keys and values, float32 [2, K, S, D]; what nobody wrote is 0."""
    numbers = storage.run(0, 0, 5 * BLOCK_SIZE)
    return torch.stack(numbers).float().nan_to_num(0.0)


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_one_kernel_writes_what_the_steps_do(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(SHAPES_OF_A_SEED):
        kv_dtype: KVDtype = rng.choice(["auto", "bf16", "fp8", "int8"])
        heads = Heads(rng, kv_dtype=kv_dtype, dtype=rng.choice([torch.float32, torch.bfloat16]))
        storage, twins = heads.storage(), heads.storage()
        attention = TritonAttention(heads.config, DEVICE)
        actual = attention.write_heads(
            heads.qkv, heads.layout, heads.rotation, CacheRows(storage, 0, heads.slots)
        )
        expected = write_heads(
            heads.qkv, heads.layout, heads.rotation, CacheRows(twins, 0, heads.slots)
        )
        tolerance = TOLERANCE[heads.qkv.dtype]
        assert relative_error(actual.queries, expected.queries) <= tolerance
        tolerance += QUANTIZED_TOLERANCE.get(kv_dtype, 1e-3)
        assert relative_error(written(storage), written(twins)) <= tolerance


def test_values_are_written_bit_for_bit() -> None:
    """Nothing is computed with them but their scale."""
    for kv_dtype in ("auto", "fp8", "int8"):
        heads = Heads(random.Random(3), kv_dtype=kv_dtype, dtype=torch.bfloat16)
        storage, twins = heads.storage(), heads.storage()
        cache, twin_cache = CacheRows(storage, 0, heads.slots), CacheRows(twins, 0, heads.slots)
        TritonAttention(heads.config, DEVICE).write_heads(
            heads.qkv, heads.layout, heads.rotation, cache
        )
        write_heads(heads.qkv, heads.layout, heads.rotation, twin_cache)
        assert torch.equal(written(storage)[1], written(twins)[1])
        assert written(storage)[1].any()
