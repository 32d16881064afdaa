"""Choosing plans by what a timer says."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnj_agent.runtime.quant.fp8 import Fp8Weight, quantize_weight
from rnj_agent.runtime.quant.fp8_kernels import PlainFp8Kernels
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.fp8_plan import Fp8Plan
from rnj_agent.runtime.quant.fp8_tuning import tune

Cost = Callable[[int, Fp8Plan], float]


class PricedKernels(PlainFp8Kernels):
    """Computes nothing; tells what each product would cost."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self.spent_s = 0.0

    def quantized_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        self.spent_s += self._cost(len(x), plan)
        return torch.empty(len(x), len(weight.data))

    def time_s(self, work: Callable[[], None]) -> float:
        before = self.spent_s
        work()
        return self.spent_s - before


def tuned(cost: Cost, *, count: int = 2) -> list[Fp8Linear]:
    kernels = PricedKernels(cost)
    weight = quantize_weight(torch.randn(64, 4096))
    linears = [Fp8Linear(*weight, kernels=kernels) for _ in range(count)]
    (found,) = tune(linears, timer=kernels.time_s)
    assert found.num_weights == count
    assert found.shape == (64, 4096)
    assert found.tuned_s <= found.default_s
    assert all(linear.plan == found.plan for linear in linears)
    return linears


def test_the_fastest_way_of_each_number_of_rows_is_taken() -> None:
    def cost(num_rows: int, plan: Fp8Plan) -> float:
        config = plan.skinny(num_rows)
        if num_rows == 1:
            return 1 + abs(config.num_stages - 6)
        return 1 + abs(config.block_n - 128) + config.num_warps

    plan = tuned(cost)[0].plan
    assert plan.narrow.num_stages == 6
    assert plan.wide.block_n == 128
    assert plan.narrow.order == plan.wide.order
    assert plan.skinny_rows == 32
    assert plan.fused_rows == 0


def test_what_does_not_run_is_not_taken() -> None:
    def cost(num_rows: int, plan: Fp8Plan) -> float:
        if plan.skinny(num_rows).block_n != 64:
            raise RuntimeError("out of shared memory")
        return 1.0

    plan = tuned(cost)[0].plan
    assert (plan.narrow.block_n, plan.wide.block_n) == (64, 64)


def test_torchs_product_must_be_clearly_faster() -> None:
    def cost(torch_s: float) -> Cost:
        return lambda _, plan: torch_s if plan.skinny_rows == 0 else 1.0

    assert tuned(cost(0.97))[0].plan.skinny_rows == 32
    assert tuned(cost(0.8))[0].plan.skinny_rows == 16


def test_rows_are_quantised_on_the_way_as_far_as_that_pays() -> None:
    def cost(num_rows: int, plan: Fp8Plan) -> float:
        is_fused = num_rows <= plan.fused_rows
        return (0.5 + 0.1 * num_rows) if is_fused else 1.0

    assert tuned(cost)[0].plan.fused_rows == 4


def test_layers_that_leave_activations_alone_keep_their_plans() -> None:
    weight = quantize_weight(torch.randn(64, 64))
    linear = Fp8Linear(*weight, quantize_activations=False)
    plan = linear.plan
    assert tune([linear]) == []
    assert linear.plan == plan
