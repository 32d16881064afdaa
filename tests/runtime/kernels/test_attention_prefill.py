"""Prompts by torch's FlashAttention, with plain products in its place where there is no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.layers.device_attention import DeviceTorchAttention
from rnj_agent.runtime.layers.scaled_attention import plain_attention
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.kernels.attention_cases import Case, Rows, Shape, relative_error
from tests.runtime.kernels.kernel_device import DEVICE
from tests.runtime.model_checkpoints import random_weights, rnj_1_config, write_safetensors
from tests.runtime.paged_forward import PagedModel

from rnj_agent.runtime.kernels.gpu.attention_tile import AttentionShape  # isort: skip - needs Triton
from rnj_agent.runtime.layers.flash_prefill import FlashPrefill
from rnj_agent.runtime.layers.triton_attention import (
    TritonAttention,
    attention_shape,
    prompt_parts,
)

PASS = [Rows(seq_len=200, num_rows=40), Rows(seq_len=9, num_rows=1), Rows(seq_len=65, num_rows=65)]
SHAPES = [
    Shape(kv_heads=2, group=2, head_dim=32, dtype=torch.float32),
    Shape(kv_heads=1, group=3, head_dim=24, dtype=torch.float32, window=70),
    Shape(kv_heads=2, group=1, head_dim=16, dtype=torch.float32, kv_dtype="fp8"),
    Shape(kv_heads=2, group=1, head_dim=16, dtype=torch.float32, kv_dtype="int8"),
]


def plain_flash(queries: Tensor, keys: Tensor, values: Tensor, shape: AttentionShape) -> Tensor:
    """What ``flash_attention`` says, as matrix products."""
    positions = torch.arange(len(keys), device=keys.device)
    own = positions[-len(queries) :, None]
    visible = positions <= own
    if shape.window is not None:
        visible &= positions > own - shape.window
    mask = torch.zeros_like(visible, dtype=torch.float32).masked_fill(~visible, float("-inf"))
    by_head = queries.unflatten(1, (shape.num_kv_heads, -1)).permute(1, 2, 0, 3)
    attended = plain_attention(
        by_head,
        keys.transpose(0, 1)[:, None],
        values.transpose(0, 1)[:, None],
        scale=shape.scale,
        mask=mask[None, None],
    )
    return attended.output.permute(2, 0, 1, 3).flatten(1, 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_prompts_equal_the_twin(shape: Shape) -> None:
    case = Case(shape=shape, rows=PASS, device=DEVICE)
    parts = [part for part in prompt_parts(case.batch) if part.num_rows > 1]
    layers = attention_shape(shape.config(), shape.layer_type, shape.block_size)
    output = torch.zeros_like(case.queries)
    FlashPrefill(parts, case.storage, layers, plain_flash)(0, case.queries, output)
    expected = case.expected().view_as(output)
    assert not output[40].any()
    expected[40] = 0  # the row that is decoded
    assert relative_error(output, expected) <= 2e-6


@pytest.mark.parametrize("kv_dtype", ["auto", "fp8"])
def test_a_model_computes_the_same_with_kernels(tmp_path: Path, kv_dtype: KVDtype) -> None:
    raw = rnj_1_config(num_hidden_layers=1)
    checkpoint = open_checkpoint(write_safetensors(tmp_path, raw, random_weights(raw)))
    model = load_model(checkpoint, dtype=torch.float32, device=str(DEVICE))
    model.device_batches = True
    model.device_attention = DeviceTorchAttention(model.config)
    plain = PagedModel(model=model, num_blocks=4, block_size=16, kv_dtype=kv_dtype)
    tokens = list(range(3, 25))
    chunks = (18, 3, 1)
    expected = plain.run(plain.sequence(len(tokens)), tokens, chunks)
    model.device_attention = TritonAttention(model.config, DEVICE)
    kernels = PagedModel(model=model, num_blocks=4, block_size=16, kv_dtype=kv_dtype)
    kernels.scatter()
    actual = kernels.run(kernels.sequence(len(tokens)), tokens, chunks)
    assert relative_error(actual, expected) <= (1e-5 if kv_dtype == "auto" else 1e-3)
