"""FP8 layers as a GPU has them, on a CPU: dispatch, fusing, and whole models, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.layers import mlp, residual
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.layers.mlp import GatedMLP
from rnj_agent.runtime.layers.residual import ResidualStream
from rnj_agent.runtime.models import CausalLM
from rnj_agent.runtime.models.weight_reader import Fp8Layers, WeightFormats, WeightReader
from rnj_agent.runtime.quant.fp8 import (
    Fp8Weight,
    fp8_linear_reference,
    quantize_tokens,
    quantize_weight,
)
from rnj_agent.runtime.quant.fp8_cpu import Fp8CpuLinear, Fp8WideningBuffer
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear
from rnj_agent.runtime.quant.fp8_plan import (
    Card,
    Fp8Plan,
    SkinnyConfig,
    alternatives,
    default_plan,
    wide_alternatives,
)
from rnj_agent.runtime.quant.scaled_product import dequantised_product, scaled_product
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import (
    Config,
    llama_config,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_safetensors,
)

H200 = Card((9, 0), 132, 228 << 10)
RNJ_1_SHAPES = ((6144, 4096), (4096, 4096), (32768, 4096), (4096, 16384))


def random_weight(num_features: int, num_columns: int) -> Fp8Weight:
    return quantize_weight(torch.randn(num_features, num_columns))


def relative_error(ours: Tensor, expected: Tensor) -> float:
    return float((ours.float() - expected.float()).norm() / expected.float().norm())


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("num_rows", [1, 32, 33])
def test_a_layer_computes_the_definition(num_rows: int, has_bias: bool) -> None:
    weight = random_weight(48, 80)
    bias = torch.randn(48).bfloat16() if has_bias else None
    x = torch.randn(num_rows, 80).bfloat16()
    assert torch.equal(Fp8Linear(*weight, bias)(x), fp8_linear_reference(x, *weight, bias))


def test_torchs_row_wise_product_is_the_definition_too() -> None:
    """Torch emulates it on a CPU: an oracle that is not ours, for shapes as a GPU takes them."""
    for num_rows, num_features, num_columns in [(40, 64, 96), (1, 16, 16), (7, 48, 256)]:
        weight = random_weight(num_features, num_columns)
        bias = torch.randn(num_features).bfloat16()
        x = torch.randn(num_rows, num_columns).bfloat16()
        for use_fast_accum in (False, True):
            y = scaled_product(quantize_tokens(x), weight, bias, use_fast_accum=use_fast_accum)
            assert relative_error(y, fp8_linear_reference(x, *weight, bias)) < 2**-7


def test_a_card_without_fp8_leaves_activations_as_they_are() -> None:
    weight, x = random_weight(33, 50), torch.randn(5, 50).bfloat16()
    layer = Fp8Linear(*weight, quantize_activations=False)
    exact = x.float() @ (weight.data.float() * weight.scale[:, None]).t()
    assert relative_error(layer(x), exact) < 2**-7
    assert torch.equal(layer(x), dequantised_product(x, weight))


@pytest.fixture
def plain_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are normalised and gated by PyTorch: the processor's kernels round once less."""

    def no_kernels(_rows: Tensor) -> None:
        return None

    for module in (residual, mlp):
        monkeypatch.setattr(module, "row_kernels", no_kernels)


@pytest.mark.usefixtures("plain_rows")
def test_a_stream_and_an_mlp_fuse_into_fp8_layers_what_they_do_step_by_step_elsewhere() -> None:
    torch.manual_seed(0)
    norms = [RMSNorm(1 + 0.1 * torch.randn(32), 1e-6) for _ in range(2)]
    weights = [random_weight(96, 32), random_weight(32, 48)]

    def run(make: Callable[[Fp8Weight], Linear]) -> Tensor:
        gate_up_proj, down_proj = map(make, weights)
        mlp = GatedMLP(gate_up_proj, down_proj, "gelu_pytorch_tanh")
        stream = ResidualStream(x)
        for _ in range(3):
            stream.add(mlp(stream.project(norms[0], mlp.gate_up_proj)), norms[1])
        stream.add(x)
        return stream.value()

    x = torch.randn(5, 32).bfloat16()
    fused, plain = run(lambda weight: Fp8Linear(*weight)), run(emulated)
    assert torch.equal(fused, plain)


def test_an_update_is_added_once() -> None:
    x, y = torch.randn(2, 8), torch.randn(2, 8)
    stream = ResidualStream(x)
    stream.add(y)
    stream.add(y)
    assert torch.equal(stream.value(), x + y + y)
    assert torch.equal(stream.value(), x + y + y)
    assert torch.equal(Update(y, None).added_to(x), x + y)


def emulated(weight: Fp8Weight, bias: Tensor | None = None) -> Linear:
    return Fp8CpuLinear(*weight, Fp8WideningBuffer(), bias, quantize_activations=True)


def loaded(path: Path, make: Callable[[Fp8Weight, Tensor | None], Linear]) -> CausalLM:
    checkpoint = open_checkpoint(path)
    names = frozenset(name for name in checkpoint.shapes if name.endswith("_proj.weight"))
    reader = WeightReader(
        checkpoint,
        dtype=torch.bfloat16,
        device="cpu",
        formats=WeightFormats(fp8=Fp8Layers(weights=names, make=make)),
    )
    return CausalLM(reader)


@pytest.mark.usefixtures("plain_rows")
@pytest.mark.parametrize("config", [rnj_1_config(), llama_config("qwen2")], ids=["rnj-1", "qwen2"])
def test_a_model_of_such_layers_is_the_emulated_one(config: Config, tmp_path: Path) -> None:
    path = write_safetensors(tmp_path, config, random_weights(config))
    tokens = some_tokens(9)
    fused = our_logits(loaded(path, lambda weight, bias: Fp8Linear(*weight, bias)), tokens)
    plain = our_logits(loaded(path, emulated), tokens)
    assert torch.isfinite(fused).all()
    assert relative_error(fused, plain) < 1e-3


@pytest.mark.parametrize(
    "card",
    [
        H200,
        Card((8, 9), 128, 100 << 10),
        Card((8, 0), 108, 164 << 10),
        Card((12, 0), 170, 100 << 10),
    ],
    ids=str,
)
def test_default_plans_fill_the_card_and_keep_parts_long(card: Card) -> None:
    for num_features, num_columns in RNJ_1_SHAPES:
        config = default_plan(num_features, num_columns, card).narrow
        num_programs = -(-num_features // config.block_n) * config.split_k
        assert num_programs >= card.num_processors / 2
        assert num_columns / config.split_k >= 1024
        assert config.weight_first == (card.capability >= (9, 0))


def test_no_plan_sums_rows_in_two_orders() -> None:
    narrow = default_plan(6144, 4096, H200).narrow
    for config in alternatives(narrow):
        for wide in wide_alternatives(config):
            assert Fp8Plan(narrow=config, wide=wide).skinny(17) == wide
    with pytest.raises(AssertionError):
        Fp8Plan(narrow=narrow, wide=SkinnyConfig(split_k=2 * narrow.split_k))
