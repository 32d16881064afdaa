from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tests.runtime.model_checkpoints import (
    Config,
    Weights,
    llama_config,
    load_float32,
    our_logits,
    random_weights,
    some_tokens,
    write_gguf,
    write_safetensors,
)

TOLERANCE = 1e-4
LLAMA_3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
QWEN_YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def reference_logits(config: Config, weights: Weights, token_ids: Sequence[int]) -> Tensor:
    """transformers' logits, [T, V]."""
    if config["model_type"] == "llama":
        model = LlamaForCausalLM(LlamaConfig(**config))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**config))
    model.eval().set_attn_implementation("eager")
    model.load_state_dict(dict(weights), strict=not config["tie_word_embeddings"])
    with torch.inference_mode():
        return model(torch.tensor([token_ids])).logits[0]


CONFIGS = [
    pytest.param(llama_config(), id="llama"),
    pytest.param(llama_config(head_dim=32, tie_word_embeddings=True), id="llama, wide heads, tied"),
    pytest.param(llama_config(rope_scaling=LLAMA_3_SCALING), id="llama 3.1"),
    pytest.param(llama_config("qwen2"), id="qwen2"),
    pytest.param(llama_config("qwen2", rope_scaling=QWEN_YARN), id="qwen2 with yarn"),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_logits_equal_transformers(tmp_path: Path, config: Config) -> None:
    weights, tokens = random_weights(config), some_tokens(64)
    expected = reference_logits(config, weights, tokens)
    model = load_float32(write_safetensors(tmp_path, config, weights))
    assert (our_logits(model, tokens) - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("model_type", ["llama", "qwen2"])
def test_gguf_is_the_same_model(tmp_path: Path, model_type: str) -> None:
    config = llama_config(model_type)
    weights, tokens = random_weights(config), some_tokens(64)
    expected = reference_logits(config, weights, tokens)
    model = load_float32(write_gguf(tmp_path / "tiny.gguf", config, weights))
    assert (our_logits(model, tokens) - expected).abs().max() <= TOLERANCE


def test_gguf_rope_factors_divide_the_frequencies(tmp_path: Path) -> None:
    config = llama_config()
    weights, tokens = random_weights(config), some_tokens(64)
    linear = {**config, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}
    expected = reference_logits(linear, weights, tokens)
    config["rope_freqs"] = torch.full((8,), 4.0)
    model = load_float32(write_gguf(tmp_path / "tiny.gguf", config, weights))
    assert (our_logits(model, tokens) - expected).abs().max() <= TOLERANCE


def test_one_token_at_a_time_gives_the_logits_of_one_pass(tmp_path: Path) -> None:
    config = llama_config("qwen2")
    model = load_float32(write_safetensors(tmp_path, config, random_weights(config)))
    tokens = some_tokens(48)
    difference = our_logits(model, tokens, [20] + [1] * 28) - our_logits(model, tokens)
    assert difference.abs().max() <= TOLERANCE
