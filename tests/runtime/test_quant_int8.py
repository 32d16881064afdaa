from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.models.loading import default_quant
from rnj_agent.runtime.quant import int8
from rnj_agent.runtime.quant.int8 import Int8Linear, WideningBuffer, quantize_int8
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import (
    llama_config,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_gguf,
    write_safetensors,
)


def test_rounds_to_half_a_step_of_each_row() -> None:
    weight = torch.randn(1500, 64) * torch.logspace(-6, 2, 1500)[:, None]
    quants, scales = quantize_int8(weight)
    error = (quants.float() * scales.float()[:, None] - weight).abs()
    # the largest weight of a row may be clamped, by no more than bfloat16 rounded the scale
    assert bool((error <= scales.float()[:, None] * 0.76).all())
    assert error.median() < scales.float().median()


def test_a_row_of_zeros_stays_zero() -> None:
    quants, scales = quantize_int8(torch.zeros(2, 8))
    assert not quants.any()
    assert not scales.any()


@pytest.mark.parametrize("num_rows", [1, 2, 8, 9, 40])
@pytest.mark.parametrize("with_bias", [False, True])
def test_equals_the_product_with_the_rounded_weight(num_rows: int, with_bias: bool) -> None:
    torch.manual_seed(num_rows)
    bias = torch.randn(48).bfloat16() if with_bias else None
    quants, scales = quantize_int8(torch.randn(48, 96))
    layer = Int8Linear(quants, scales, WideningBuffer(), bias)
    x = torch.randn(num_rows, 96).bfloat16()
    expected = x.float() @ (quants.float() * scales.float()[:, None]).T
    expected = expected if bias is None else expected + bias.float()
    assert torch.allclose(layer(x).float(), expected, rtol=0.02, atol=0.1)


def test_weights_larger_than_the_buffer_are_widened_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quants, scales = quantize_int8(torch.randn(48, 96))
    x = torch.randn(40, 96).bfloat16()
    whole = Int8Linear(quants, scales, WideningBuffer())(x)
    monkeypatch.setattr(int8, "BUFFER_WEIGHTS", 96 * 7)
    assert torch.equal(Int8Linear(quants, scales, WideningBuffer())(x), whole)


@pytest.mark.parametrize("chunks", [[], [20, 1, 1, 1, 9]])
def test_a_model_in_int8_stays_near_the_same_in_bfloat16(tmp_path: Path, chunks: list[int]) -> None:
    config = rnj_1_config()
    folder = write_safetensors(tmp_path, config, random_weights(config))
    tokens = some_tokens(32)
    exact = our_logits(load_model(open_checkpoint(folder), dtype=torch.bfloat16), tokens)
    model = load_model(open_checkpoint(folder), dtype=torch.bfloat16, quant="int8")
    similarity = torch.nn.functional.cosine_similarity(our_logits(model, tokens, chunks), exact)
    assert similarity.min() > 0.97


def test_only_what_is_quantised_already_is_held_in_int8(tmp_path: Path) -> None:
    config = llama_config()
    path = write_gguf(tmp_path / "float32.gguf", config, random_weights(config))
    assert default_quant(open_checkpoint(path), torch.bfloat16, "cpu") == "none"
