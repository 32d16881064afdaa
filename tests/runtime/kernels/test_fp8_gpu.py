"""FP8 on a card, at Rnj-1's shapes: against the definition, and what speculation relies on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.layers.layernorm import Update
from rnj_agent.runtime.layers.skinny_linear import SkinnyLinear
from rnj_agent.runtime.quant.fp8 import Fp8Weight, fp8_linear_reference, quantize_tokens
from rnj_agent.runtime.quant.fp8_kernels import PlainFp8Kernels
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.fp8_plan import Fp8Plan, alternatives
from rnj_agent.runtime.quant.fp8_tuning import tune
from rnj_agent.runtime.quant.scaled_product import dequantised_product, scaled_product
from tests.runtime.kernels.fp8_cases import BF16_STEP, assert_same_rows, random_norm
from tests.runtime.kernels.kernel_device import DEVICE

from rnj_agent.runtime.kernels.gpu.triton_fp8 import TritonFp8Kernels  # isort: skip - needs Triton

pytestmark = pytest.mark.gpu

SHAPES = {
    "qkv": (6144, 4096),
    "o": (4096, 4096),
    "gate_up": (32768, 4096),
    "down": (4096, 16384),
}
HEAD = (128256, 4096)
ROWS = (1, 2, 7, 15, 16, 17, 31, 32)
MAX_ERROR = 2.0**-8
"""Relative, of all numbers: results are bfloat16."""


def random_weight(num_features: int, num_columns: int) -> Fp8Weight:
    rows = quantize_tokens(torch.randn(num_features, num_columns, device=DEVICE) / 64)
    return Fp8Weight(rows.data, rows.scale[:, 0].contiguous())


def random_rows(num_rows: int, num_columns: int) -> Tensor:
    return torch.randn(num_rows, num_columns, device=DEVICE).bfloat16()


def relative_error(ours: Tensor, expected: Tensor) -> float:
    return float((ours.float() - expected.float()).norm() / expected.float().norm())


@pytest.fixture(params=SHAPES)
def linear(request: pytest.FixtureRequest) -> Fp8Linear:
    return Fp8Linear(*random_weight(*SHAPES[request.param]))


def test_few_and_many_rows_are_the_definition(linear: Fp8Linear) -> None:
    for num_rows in (*ROWS, 33, 100, 1000):
        x = random_rows(num_rows, linear.weight.shape[1])
        expected = fp8_linear_reference(x, linear.weight, linear.weight_scale)
        assert relative_error(linear(x), expected) < MAX_ERROR, num_rows


def test_a_row_does_not_tell_how_many_there_were(linear: Fp8Linear) -> None:
    x = random_rows(32, linear.weight.shape[1])
    together = linear(x)
    for num_rows in range(1, 32):
        assert torch.equal(linear(x[:num_rows]), together[:num_rows]), num_rows
    assert torch.equal(linear(x.flip(0)), together.flip(0))


@pytest.mark.timeout(300)  # compiles some 30 kernels
def test_no_plan_tells_how_many_rows_there_were() -> None:
    linear = Fp8Linear(*random_weight(*SHAPES["o"]))
    x = random_rows(32, 4096)
    split_k = linear.plan.narrow.split_k
    for narrow in alternatives(linear.plan.narrow):
        if narrow.split_k != split_k:
            continue
        for wide in (narrow, replace(narrow, block_n=128)):
            linear.plan = Fp8Plan(narrow=narrow, wide=wide)
            try:
                together = linear(x)
            except RuntimeError:  # more shared memory than there is
                continue
            assert torch.equal(linear(x[:1]), together[:1]), (narrow, wide)


def test_programs_that_share_a_sum_always_give_the_same(linear: Fp8Linear) -> None:
    config = replace(linear.plan.narrow, split_k=4)
    linear.plan = Fp8Plan(narrow=config, wide=config)
    x = random_rows(3, linear.weight.shape[1])
    first = linear(x)
    assert all(torch.equal(linear(x), first) for _ in range(50))


def test_quantising_on_the_way_changes_nothing(linear: Fp8Linear) -> None:
    x = random_rows(3, linear.weight.shape[1])
    before = linear(x)
    linear.plan = replace(linear.plan, fused_rows=4)
    assert torch.equal(linear(x), before)


def test_overlapping_kernels_in_a_graph_compute_what_lone_ones_do() -> None:
    """A chain as a layer's: each kernel reads what the one before it writes."""
    weights = {name: random_weight(*shape) for name, shape in SHAPES.items()}
    norms = [random_norm(4096) for _ in range(2)]
    x = random_rows(4, 4096)

    def chain(*, overlap: bool) -> Tensor:
        kernels = TritonFp8Kernels(overlap=overlap)
        o, gate_up, down = (
            Fp8Linear(*weights[name], kernels=kernels) for name in ("o", "gate_up", "down")
        )
        stream = x
        for _ in range(8):
            update = Update(o(stream), norms[0])
            stream, hidden = gate_up.after_norm(stream, update, norms[1])
            stream = down.after_gate(hidden, "gelu_pytorch_tanh")
        return stream

    alone, overlapping = chain(overlap=False), chain(overlap=True)
    assert torch.equal(overlapping, alone)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        replayed = chain(overlap=True)
    for _ in range(10):
        replayed.zero_()
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(replayed, alone)


def test_norms_and_activations_are_their_twins() -> None:
    kernels, twin = TritonFp8Kernels(overlap=True), PlainFp8Kernels()
    for num_rows in (1, 33, 4000):
        x, y = random_rows(num_rows, 4096), random_rows(num_rows, 4096)
        assert_same_rows(kernels.quantize(x), twin.quantize(x))
        update, norm = Update(y, random_norm(4096)), random_norm(4096)
        total, rows = kernels.add_norm_quantize(x, update, norm)
        expected_total, expected = twin.add_norm_quantize(x, update, norm)
        torch.testing.assert_close(total, expected_total, rtol=2 * BF16_STEP, atol=1e-2)
        assert (
            relative_error(rows.data.float() * rows.scale, expected.data.float() * expected.scale)
            < 0.01
        )
        gate_up = random_rows(num_rows, 32768)
        rows = kernels.gate_quantize(gate_up, "gelu_pytorch_tanh")
        assert_same_rows(rows, twin.gate_quantize(gate_up, "gelu_pytorch_tanh"), max_moved=0.01)


def test_torchs_product_takes_any_number_of_rows(linear: Fp8Linear) -> None:
    weight = Fp8Weight(linear.weight, linear.weight_scale)
    for num_rows in (1, 15, 33, 1001):
        x = random_rows(num_rows, linear.weight.shape[1])
        expected = fp8_linear_reference(x, *weight)
        for use_fast_accum, limit in ((False, MAX_ERROR), (True, 4 * MAX_ERROR)):
            y = scaled_product(quantize_tokens(x), weight, use_fast_accum=use_fast_accum)
            assert relative_error(y, expected) < limit, (num_rows, use_fast_accum)


def test_weights_alone_in_fp8(linear: Fp8Linear) -> None:
    weight = Fp8Weight(linear.weight, linear.weight_scale)
    weight_only = Fp8Linear(*weight, quantize_activations=False)
    for num_rows in (1, 20, 40):
        x = random_rows(num_rows, linear.weight.shape[1])
        expected = dequantised_product(x.float(), weight)
        assert relative_error(weight_only(x), expected) < MAX_ERROR


def test_the_head_in_16_bits() -> None:
    head = SkinnyLinear((torch.randn(HEAD, device=DEVICE) / 64).bfloat16())
    x = random_rows(33, HEAD[1])
    together = head(x[:32])
    for num_rows in (*ROWS, 33):
        expected = x[:num_rows].float() @ head.weight.float().t()
        assert relative_error(head(x[:num_rows]), expected) < MAX_ERROR
        if num_rows <= 32:
            assert torch.equal(head(x[:num_rows]), together[:num_rows])


@pytest.mark.timeout(300)
def test_tuning_finds_a_plan_and_changes_no_result_by_more_than_rounding() -> None:
    linears = [Fp8Linear(*random_weight(512, 4096)) for _ in range(2)]
    x = random_rows(1, 4096)
    before = linears[0](x)
    (found,) = tune(linears)
    assert found.tuned_s <= found.default_s * 1.2
    assert relative_error(linears[0](x), before) < MAX_ERROR
