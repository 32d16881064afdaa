"""The arithmetic and the config, against the compressed-tensors package itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.config import CompressionFormat
from compressed_tensors.quantization import (
    QuantizationConfig,
    QuantizationScheme,
    QuantizationStatus,
)
from compressed_tensors.quantization.quant_scheme import FP8_DYNAMIC
from compressed_tensors.quantization.utils.helpers import calculate_qparams
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnj_agent.agent.cli.model_quantize import quantize_command
from rnj_agent.runtime.quant.fp8 import FP8_MAX
from rnj_agent.runtime.quantize.fp8_dynamic import (
    SCHEME,
    fp8_dynamic_config,
    quantize_channels,
)

THEIRS = QuantizationScheme(
    targets=["Linear"], format=CompressionFormat.float_quantized, **FP8_DYNAMIC
)
THEIR_WEIGHTS = FP8_DYNAMIC["weights"]
COMPRESSOR: Any = BaseCompressor.get_value_from_registry("float-quantized")


def bits(tensor: Tensor) -> Tensor:
    return tensor.view(torch.uint8)


def random_weight(rows: int, columns: int, magnitude: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn((rows, columns), generator=generator) * magnitude
    return weight * torch.rand((rows, 1), generator=generator)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 200),
    exponent=st.integers(-45, 37),
    seed=st.integers(0, 2**32 - 1),
    zero_row=st.booleans(),
)
def test_bits_are_those_of_compressed_tensors(
    rows: int, columns: int, exponent: int, seed: int, zero_row: bool
) -> None:
    weight = random_weight(rows, columns, 10.0**exponent, seed).bfloat16()
    if zero_row:
        weight[seed % rows] = 0
    extremes = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    scale, _ = calculate_qparams(*extremes, THEIR_WEIGHTS)
    theirs = COMPRESSOR.compress({"weight": weight, "weight_scale": scale}, THEIRS)
    ours = quantize_channels(weight)
    assert torch.equal(bits(ours.scale), bits(scale))
    assert torch.equal(bits(ours.data), bits(theirs["weight"]))
    widened = COMPRESSOR.decompress({"weight": ours.data, "weight_scale": ours.scale}, THEIRS)
    assert torch.equal(widened["weight"], (ours.data.float() * ours.scale.float()).bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_error_is_fp8s_own(dtype: torch.dtype) -> None:
    weight = random_weight(64, 256, 0.1, 0).to(dtype)
    data, scale = quantize_channels(weight)
    assert scale.dtype == torch.bfloat16
    assert scale.shape == (64, 1)
    error = (data.float() * scale.float() - weight.float()).abs()
    # half of e4m3's last place, half of its smallest step, and what a bfloat16 quotient adds
    allowed = weight.float().abs() * (2**-4 + 2**-8) + scale.float() * 2**-10
    assert (error <= allowed).all()


def test_a_row_of_zeros_has_a_scale_and_no_nan() -> None:
    data, scale = quantize_channels(torch.zeros((3, 8), dtype=torch.bfloat16))
    assert (scale > 0).all()
    assert not data.float().any()


def test_the_largest_weight_of_a_row_is_near_the_largest_number() -> None:
    data, _ = quantize_channels(random_weight(100, 64, 3.0, 1).bfloat16())
    assert (data.float().abs().amax(1) >= FP8_MAX * (1 - 2**-4)).all()


def test_the_config_is_the_packages_own() -> None:
    theirs = QuantizationConfig(
        config_groups={"group_0": THEIRS},
        format="float-quantized",
        quantization_status=QuantizationStatus.COMPRESSED,
        ignore=["lm_head"],
    )
    ours = fp8_dynamic_config()
    assert QuantizationConfig.model_validate(ours).model_dump() == theirs.model_dump()
    assert ours.items() <= theirs.model_dump().items()


def test_the_command_knows_the_scheme() -> None:
    (option,) = [option for option in quantize_command.params if option.name == "scheme"]
    choices: Any = option.type
    assert choices.choices == (SCHEME,)
