from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.kernels.cpu.heads import HeadKernel
from rnj_agent.runtime.kernels.cpu.isa import Isa
from rnj_agent.runtime.kernels.cpu.rows import RowKernels
from rnj_agent.runtime.kv_cache.buffer import DenseBuffer
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.activation import activate
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout, write_heads
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.layers.rotary_embedding import Rotation
from tests.runtime.kernels.cpu_isas import ISAS, kernels_or_skip

NUM_SHAPES = 170
"""Of each operation, in each instruction set."""
ULP = 2.0**-7
"""Of bfloat16, relative: sums in another order may round to the neighbour."""


@pytest.fixture(autouse=True)
def some_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rows(random: Random, num_rows: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(random.randrange(1 << 30))
    return torch.randn(num_rows, size, generator=generator).mul_(3).bfloat16()


def rms_norm(random: Random, size: int) -> RMSNorm:
    return RMSNorm(rows(random, 1, size)[0].float(), random.choice([1e-5, 1e-6]))


def assert_close(computed: Tensor, expected: Tensor, *, ulps: float = 1.01) -> None:
    error = (computed.float() - expected.float()).abs()
    assert (error <= ulps * ULP * expected.float().abs() + 1e-6).all()


@pytest.mark.parametrize("isa", ISAS)
def test_adding_and_normalising_equals_pytorch(isa: Isa) -> None:
    kernels, random = RowKernels(kernels_or_skip(isa)), Random(3)
    for _ in range(NUM_SHAPES):
        torch.set_num_threads(random.choice([1, 2, 3]))
        num_rows, size = random.choice([1, 2, 3, 8, 40]), random.choice([1, 15, 64, 577, 1024])
        x, norm = rows(random, num_rows, size), rms_norm(random, size)
        update_norm = random.choice([None, rms_norm(random, size)])
        update = random.choice([None, Update(rows(random, num_rows, size), update_norm)])
        expected = x if update is None else update.added_to(x)
        computed = kernels.add_norm(x, update, norm)
        if update_norm is None:
            assert torch.equal(x, expected)  # in place
        assert_close(computed, norm(x))
        # a norm that rounded to the neighbour moves the sum by as much, however small that is
        bound = 2 * ULP * (expected.abs().max() + 20)
        assert (x.float() - expected.float()).abs().max() <= bound


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("activation", ["silu", "gelu_pytorch_tanh"])
def test_gating_equals_pytorch(isa: Isa, activation: Activation) -> None:
    kernels, random = RowKernels(kernels_or_skip(isa)), Random(4)
    for _ in range(NUM_SHAPES // 2):
        torch.set_num_threads(random.choice([1, 2, 3]))
        num_rows, size = random.choice([1, 2, 8, 40]), random.choice([1, 15, 64, 1025, 3000])
        gate_up = rows(random, num_rows, 2 * size)
        gate, up = gate_up.float().chunk(2, dim=-1)
        expected = activate(gate, activation) * up
        computed = kernels.gate(gate_up, activation).float()
        assert ((computed - expected).abs() <= ULP * expected.abs() + 2e-5).all()


@pytest.mark.parametrize("isa", ISAS)
def test_gating_survives_what_overflows(isa: Isa) -> None:
    kernels = RowKernels(kernels_or_skip(isa))
    gate = torch.tensor([[-3e38, -1000, -90, -0.0, 0, 90, 1000, 3e38, float("nan")]]).bfloat16()
    for activation in ("silu", "gelu_pytorch_tanh"):
        computed = kernels.gate(torch.cat([gate, torch.ones_like(gate)], dim=1), activation)
        expected = activate(gate.float(), activation)
        assert torch.allclose(computed.float(), expected, rtol=0.01, atol=1e-6, equal_nan=True)


class Storage(KVStorage):
    """One layer of any shape."""

    def __init__(self, num_kv_heads: int, num_slots: int, head_dim: int) -> None:
        def buffer() -> DenseBuffer:
            shape = (num_kv_heads, num_slots, head_dim)
            return DenseBuffer(
                shape, dtype=torch.bfloat16, stored=torch.bfloat16, device=torch.device("cpu")
            )

        self.keys, self.values = [buffer()], [buffer()]


@pytest.mark.parametrize("isa", ISAS)
def test_heads_are_rotated_and_written_as_pytorch_does(isa: Isa) -> None:
    kernel, random = HeadKernel(kernels_or_skip(isa)), Random(5)
    for _ in range(NUM_SHAPES):
        torch.set_num_threads(random.choice([1, 2, 3]))
        num_rows, num_slots = random.choice([1, 2, 8, 33]), 70
        kv_heads, group = random.choice([1, 2, 3]), random.choice([1, 4, 6])
        head_dim = random.choice([2, 16, 64, 96, 128])
        has_norms = random.random() < 0.5
        layout = HeadLayout(
            num_heads=kv_heads * group,
            num_kv_heads=kv_heads,
            head_dim=head_dim,
            q_norm=rms_norm(random, head_dim) if has_norms else None,
            k_norm=rms_norm(random, head_dim) if has_norms else None,
        )
        angles = rows(random, num_rows, head_dim // 2).float()[:, None]
        rotation = Rotation(angles.cos(), angles.sin())
        first = random.randint(0, num_slots - num_rows)
        places = torch.tensor(random.sample(range(num_slots), num_rows))
        slots = random.choice([slice(first, first + num_rows), places])
        qkv = rows(random, num_rows, (kv_heads * group + 2 * kv_heads) * head_dim)
        mine, theirs = (Storage(kv_heads, num_slots, head_dim) for _ in range(2))
        expected = write_heads(qkv.clone(), layout, rotation, CacheRows(theirs, 0, slots))
        computed = kernel(qkv, layout, rotation, CacheRows(mine, 0, slots))
        for ours, other in zip(computed, expected, strict=True):
            assert ours.shape == other.shape
            # a difference of two products, each rounded
            assert (ours.float() - other.float()).abs().max() <= 2 * ULP * other.abs().max()
        assert torch.equal(mine.values[0].data, theirs.values[0].data)
        keys = mine.keys[0].data[:, slots]
        assert torch.equal(keys, computed.keys)
        assert int((mine.keys[0].data != 0).sum()) == int((keys != 0).sum())


@pytest.mark.parametrize("isa", ISAS)
def test_a_row_does_not_depend_on_its_neighbours(isa: Isa) -> None:
    kernels, random = RowKernels(kernels_or_skip(isa)), Random(6)
    x, y, norm = rows(random, 64, 1536), rows(random, 64, 1536), rms_norm(random, 1536)
    torch.set_num_threads(2)
    together = kernels.add_norm(x.clone(), Update(y, norm), norm), kernels.gate(x, "silu")
    for i in (0, 5, 63):
        one = slice(i, i + 1)
        alone = kernels.add_norm(x[one].clone(), Update(y[one], norm), norm)
        assert torch.equal(alone, together[0][one])
        assert torch.equal(kernels.gate(x[one], "silu"), together[1][one])
