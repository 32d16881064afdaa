from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.loading import load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import (
    VOCAB,
    gemma_3_config,
    llama_config,
    random_weights,
    rnj_1_config,
    write_safetensors,
)

pytestmark = pytest.mark.skipif(
    kernels() is None, reason="there are no compiled kernels here: rnj-agent doctor says why"
)
CONFIGS = [
    pytest.param(rnj_1_config(), id="rnj-1"),
    pytest.param(gemma_3_config(), id="two types of layers"),
    pytest.param(llama_config("qwen2", num_attention_heads=2, num_key_value_heads=1), id="qwen2"),
]
SCATTERED = [5, 1, 3]
OTHER = [0, 4]


def packed_model(folder: Path, config: dict[str, Any]) -> CausalLM:
    path = write_safetensors(folder, config, random_weights(config))
    return load_model(open_checkpoint(path), dtype=torch.bfloat16, quant="int8")


def rows(table: list[int], start: int, num_tokens: int) -> SequenceRows:
    return SequenceRows(
        block_table=table, start=start, num_tokens=num_tokens, num_logits=num_tokens
    )


def logits(model: CausalLM, kv_dtype: KVDtype = "auto") -> Tensor:
    """Of a prompt, decode steps, drafts, and two sequences together."""
    random = Random(1)
    storage = model.new_storage(num_blocks=6, kv_dtype=kv_dtype)
    passes = [
        [rows(SCATTERED, 0, 70)],
        [rows(SCATTERED, 70, 1)],
        [rows(SCATTERED, 71, 4)],
        [rows(OTHER, 0, 16)],
        [rows(SCATTERED, 75, 1), rows(OTHER, 16, 3)],
        [rows(SCATTERED, 76, 20), rows(OTHER, 19, 1)],
    ]
    outputs: list[Tensor] = []
    for sequences in passes:
        num_tokens = sum(sequence.num_tokens for sequence in sequences)
        ids = torch.tensor([random.randrange(VOCAB) for _ in range(num_tokens)])
        batch = ForwardBatch(input_ids=ids, sequences=tuple(sequences))
        outputs.append(model.forward(batch, storage))
    return torch.cat(outputs)


@pytest.mark.parametrize("config", CONFIGS)
def test_one_call_gives_the_bits_of_layer_by_layer(tmp_path: Path, config: dict[str, Any]) -> None:
    model = packed_model(tmp_path, config)
    assert model.cpu_layers is not None
    together = logits(model)
    model.cpu_layers = None
    assert torch.equal(together, logits(model))


def test_a_cache_in_8_bits_is_left_to_the_layers(tmp_path: Path) -> None:
    model = packed_model(tmp_path, rnj_1_config())
    with_calls = logits(model, "int8")
    model.cpu_layers = None
    assert torch.equal(with_calls, logits(model, "int8"))


def test_dense_weights_are_left_to_the_layers(tmp_path: Path) -> None:
    config = rnj_1_config()
    path = write_safetensors(tmp_path, config, random_weights(config))
    model = load_model(open_checkpoint(path), dtype=torch.bfloat16, quant="none")
    assert model.cpu_layers is None
