from __future__ import annotations

import numpy as np
import pytest
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.quant.dequantize import FORMATS, dequantize_into

FALLBACK = [GGMLQuantizationType.Q5_1, GGMLQuantizationType.Q3_K, GGMLQuantizationType.IQ4_XS]


def random_blocks(tensor_type: GGMLQuantizationType, num_blocks: int) -> torch.Tensor:
    """Blocks of random bits, NaN and Inf scales among them: uint8 [bytes]."""
    generator = torch.Generator().manual_seed(num_blocks)
    _, block_bytes = GGML_QUANT_SIZES[tensor_type]
    return torch.randint(
        0, 256, (num_blocks * block_bytes,), dtype=torch.uint8, generator=generator
    )


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("num_blocks", [1, 3, 2500])
@pytest.mark.parametrize("tensor_type", [*FORMATS, *FALLBACK], ids=lambda value: value.name)
def test_equals_the_gguf_package_bit_for_bit(
    tensor_type: GGMLQuantizationType, num_blocks: int
) -> None:
    block_size, block_bytes = GGML_QUANT_SIZES[tensor_type]
    raw = random_blocks(tensor_type, num_blocks)
    expected = torch.from_numpy(dequantize(raw.view(-1, block_bytes).numpy(), tensor_type))
    out = torch.empty(num_blocks, block_size)
    dequantize_into(out, raw, tensor_type)
    is_number = ~expected.isnan()
    assert torch.equal(out.isnan(), expected.isnan())
    assert torch.equal(out[is_number], expected[is_number])


@pytest.mark.parametrize(
    ("tensor_type", "dtype"),
    [
        (GGMLQuantizationType.F32, torch.float32),
        (GGMLQuantizationType.F16, torch.float16),
        (GGMLQuantizationType.BF16, torch.bfloat16),
    ],
)
def test_plain_types_are_converted(tensor_type: GGMLQuantizationType, dtype: torch.dtype) -> None:
    weights = torch.randn(4, 8).to(dtype)
    out = torch.empty(4, 8)
    dequantize_into(out, weights.view(torch.uint8).flatten(), tensor_type)
    assert torch.equal(out, weights.float())


def test_converts_to_the_dtype_of_the_output() -> None:
    weights = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    raw = torch.from_numpy(quantize(weights, GGMLQuantizationType.Q8_0)).flatten()
    exact, rounded = torch.empty(8, 64), torch.empty(8, 64, dtype=torch.bfloat16)
    dequantize_into(exact, raw, GGMLQuantizationType.Q8_0)
    dequantize_into(rounded, raw, GGMLQuantizationType.Q8_0)
    assert torch.equal(rounded, exact.bfloat16())
    assert (exact - torch.from_numpy(weights)).abs().max() < 0.02


def test_names_a_type_that_nothing_can_read() -> None:
    tensor_type = GGMLQuantizationType.Q8_K
    with pytest.raises(CheckpointError, match="weights of type Q8_K are not supported"):
        dequantize_into(torch.empty(1, 256), random_blocks(tensor_type, 1), tensor_type)
