from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.kernels.cpu.isa import Isa
from rnj_agent.runtime.kernels.cpu.packed import BLOCKS, PackedFormat
from rnj_agent.runtime.kernels.cpu.products import PackedWeight
from tests.runtime.kernels.cpu_isas import ISAS, kernels_or_skip
from tests.runtime.kernels.packed_cases import (
    SegmentCase,
    product,
    random_segment,
    rounded_to_int8,
)

NUM_CASES = 100
"""Of each format: 500 in all for each instruction set."""


@pytest.fixture
def same_threads() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


def random_features(chance: random.Random, packed_format: PackedFormat) -> int:
    if packed_format is PackedFormat.FP8:
        return chance.randint(1, 130)
    return BLOCKS[packed_format][0] * chance.randint(1, 3)


def off_alignment(tensor: Tensor, by: int) -> Tensor:
    """The same values at an address that many elements further on than memory begins."""
    memory = torch.empty(tensor.numel() + by, dtype=tensor.dtype)
    return memory[by:].view(tensor.shape).copy_(tensor)


@pytest.mark.parametrize("packed_format", PackedFormat)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.usefixtures("same_threads")
def test_products_equal_the_twin_and_rows_do_not_see_each_other(
    isa: Isa, packed_format: PackedFormat
) -> None:
    opened = kernels_or_skip(isa)
    for seed in range(NUM_CASES):
        chance = random.Random(seed)
        torch.manual_seed(seed)
        torch.set_num_threads(chance.choice((1, 2, 3)))
        num_rows, in_features = chance.randint(1, 19), random_features(chance, packed_format)
        cases = [
            random_segment(opened, packed_format, chance.randint(1, 70), in_features, seed + i)
            for i in range(chance.randint(1, 3))
        ]
        dtype = chance.choice((torch.bfloat16, torch.float32))
        x = off_alignment(torch.randn(num_rows, in_features).to(dtype), chance.randint(0, 5))
        bias = torch.randn(sum(len(case.weight) for case in cases)) if seed % 2 else None
        weight = PackedWeight(opened, [case.segment for case in cases], bias)
        y = product(weight, x)
        check_against_twin(y, x, cases, bias)
        some_row = chance.randrange(num_rows)
        torch.set_num_threads(1)
        alone = product(weight, x[some_row : some_row + 1])
        assert torch.equal(alone[0], y[some_row]), f"seed {seed}"


def check_against_twin(y: Tensor, x: Tensor, cases: list[SegmentCase], bias: Tensor | None) -> None:
    """Within the rounding of float32 sums, and of the result's dtype."""
    weight = torch.cat([case.weight for case in cases]).double()
    is_fp8 = cases[0].segment.packed_format is PackedFormat.FP8
    rounded = x.double() if is_fp8 else rounded_to_int8(x)
    expected = rounded @ weight.T + (0 if bias is None else bias.double())
    # minima are subtracted apart: what cancels leaves the error of the larger terms
    size = rounded.abs() @ weight.abs().T + weight.abs().amax() * rounded.abs().sum(-1)[:, None]
    rounding = 2**-8 if x.dtype == torch.bfloat16 else 2**-22
    tolerance = expected.abs() * rounding + size * 1e-5
    assert bool(((y.double() - expected).abs() <= tolerance).all())


@pytest.mark.parametrize("packed_format", PackedFormat)
@pytest.mark.parametrize("isa", ISAS)
def test_unpacked_weights_are_the_stored_ones_bit_for_bit(
    isa: Isa, packed_format: PackedFormat
) -> None:
    opened = kernels_or_skip(isa)
    for seed in range(20):
        chance = random.Random(seed)
        num_rows, in_features = chance.randint(1, 70), random_features(chance, packed_format)
        case = random_segment(opened, packed_format, num_rows, in_features, seed)
        weight = PackedWeight(opened, [case.segment])
        first = chance.randrange(num_rows)
        for dtype in (torch.float32, torch.bfloat16):
            expected = case.unscaled.to(dtype)
            out = torch.full((chance.randint(0, num_rows - first) + 2, in_features), 7.0).to(dtype)
            weight.unpack(0, first, out[1:-1])
            assert torch.equal(out[1:-1], expected[first : first + len(out) - 2])
            assert bool((out[[0, -1]] == 7).all()), "wrote beyond what was asked for"
            ids = torch.tensor([chance.randrange(num_rows) for _ in range(seed)], dtype=torch.int64)
            assert torch.equal(weight.rows(ids, dtype), expected[ids])


@pytest.mark.parametrize("isa", ISAS)
def test_a_row_of_zeros_gives_zeros(isa: Isa) -> None:
    opened = kernels_or_skip(isa)
    for packed_format in PackedFormat:
        weight = PackedWeight(opened, [random_segment(opened, packed_format, 20, 256, 0).segment])
        assert not product(weight, torch.zeros(3, 256)).any()


def test_no_rows_give_no_results() -> None:
    opened = kernels_or_skip("plain")
    weight = PackedWeight(opened, [random_segment(opened, PackedFormat.Q8, 20, 64, 0).segment])
    assert product(weight, torch.zeros(0, 64)).shape == (0, 20)


@pytest.mark.parametrize("ids", [[-1], [20], [3, 99]])
def test_rows_that_are_not_there_are_never_read(ids: list[int]) -> None:
    opened = kernels_or_skip("plain")
    weight = PackedWeight(opened, [random_segment(opened, PackedFormat.Q8, 20, 64, 0).segment])
    with pytest.raises(AssertionError):
        weight.rows(torch.tensor(ids), torch.float32)


def test_what_has_not_the_size_that_it_claims_is_never_read() -> None:
    opened = kernels_or_skip("plain")
    segment = random_segment(opened, PackedFormat.Q8, 20, 64, 0).segment
    weight = PackedWeight(opened, [segment])
    with pytest.raises(AssertionError):
        product(weight, torch.zeros(2, 32))
    with pytest.raises(AssertionError):
        weight.product(torch.zeros(2, 64), torch.empty(10, dtype=torch.uint8))
    with pytest.raises(AssertionError):
        weight.unpack(0, 19, torch.empty(2, 64))
