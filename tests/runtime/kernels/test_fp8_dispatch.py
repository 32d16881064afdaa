"""Layers whose kernels are Triton's: which product is taken, and a whole model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.models import CausalLM
from rnj_agent.runtime.models.weight_reader import Fp8Layers, WeightFormats, WeightReader
from rnj_agent.runtime.quant.fp8 import Fp8Weight, fp8_linear_reference
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.kernels.fp8_cases import random_fp8_weight
from tests.runtime.kernels.kernel_device import DEVICE
from tests.runtime.model_checkpoints import (
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_safetensors,
)

from rnj_agent.runtime.kernels.gpu.triton_fp8 import TritonFp8Kernels  # isort: skip - needs Triton

KERNELS = TritonFp8Kernels(overlap=False)


def relative_error(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return float((ours.float() - expected.float()).norm() / expected.float().norm())


@pytest.mark.parametrize(
    ("num_rows", "skinny_rows", "fused_rows"),
    [(3, 32, 0), (3, 32, 4), (32, 32, 0), (33, 32, 0), (3, 0, 0), (17, 16, 0), (0, 32, 4)],
)
def test_every_way_gives_the_definition(num_rows: int, skinny_rows: int, fused_rows: int) -> None:
    weight = random_fp8_weight(64, 96)
    x = torch.randn(num_rows, 96, device=DEVICE).bfloat16()
    linear = Fp8Linear(*weight, kernels=KERNELS)
    linear.plan = replace(linear.plan, skinny_rows=skinny_rows, fused_rows=fused_rows)
    y = linear(x)
    assert y.shape == (num_rows, 64)
    if num_rows:
        assert relative_error(y, fp8_linear_reference(x, *weight)) < 2**-8


def test_sizes_that_torchs_product_does_not_take_are_widened() -> None:
    weight = random_fp8_weight(50, 70)
    x = torch.randn(40, 70, device=DEVICE).bfloat16()
    y = Fp8Linear(*weight, kernels=KERNELS)(x)
    assert relative_error(y, fp8_linear_reference(x, *weight)) < 2**-6


def test_a_model_by_kernels_is_the_one_by_torch(tmp_path: Path) -> None:
    config = rnj_1_config(num_hidden_layers=2)
    path = write_safetensors(tmp_path, config, random_weights(config))
    tokens = some_tokens(2)
    by_kernels, by_torch = (
        our_logits(loaded(path, kernels), tokens) for kernels in (KERNELS, None)
    )
    assert torch.isfinite(by_kernels).all()
    assert relative_error(by_kernels, by_torch) < 0.02


def loaded(path: Path, kernels: TritonFp8Kernels | None) -> CausalLM:
    """With FP8 projections."""

    def make(weight: Fp8Weight, bias: torch.Tensor | None) -> Fp8Linear:
        return Fp8Linear(*weight, bias, kernels=kernels)

    checkpoint = open_checkpoint(path)
    names = frozenset(name for name in checkpoint.shapes if name.endswith("_proj.weight"))
    reader = WeightReader(
        checkpoint,
        dtype=torch.bfloat16,
        device=str(DEVICE),
        formats=WeightFormats(fp8=Fp8Layers(weights=names, make=make)),
    )
    return CausalLM(reader)
