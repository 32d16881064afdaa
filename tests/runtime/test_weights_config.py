from __future__ import annotations

from typing import Any

import pytest

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.weights.gguf_config import config_from_gguf
from rnj_agent.runtime.weights.hf_config import config_from_hf
from tests.runtime.model_checkpoints import (
    Config,
    gemma_3_config,
    llama_config,
    rnj_1_config,
)

GEMMA_3_270M: Config = {
    "general.architecture": "gemma3",
    "tokenizer.ggml.tokens": ["a"] * 10,
    "gemma3.context_length": 32768,
    "gemma3.embedding_length": 640,
    "gemma3.block_count": 18,
    "gemma3.feed_forward_length": 2048,
    "gemma3.attention.head_count": 4,
    "gemma3.attention.head_count_kv": 1,
    "gemma3.attention.key_length": 256,
    "gemma3.attention.value_length": 256,
    "gemma3.attention.layer_norm_rms_epsilon": 1e-6,
    "gemma3.attention.sliding_window": 512,
    "gemma3.rope.freq_base": 1000000.0,
}


def without(config: Config, key: str) -> Config:
    return {name: value for name, value in config.items() if name != key}


REQUIRED_OF_RNJ_1 = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "hidden_activation",
    "query_pre_attn_scalar",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "rope_theta",
)


@pytest.mark.parametrize("key", REQUIRED_OF_RNJ_1)
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(CheckpointError, match=f"config.json: the key {key} is missing"):
        config_from_hf(without(rnj_1_config(), key))


@pytest.mark.parametrize(
    "key", ["rope_type", "factor", "original_max_position_embeddings", "beta_fast", "beta_slow"]
)
def test_a_missing_yarn_key_is_named(key: str) -> None:
    config = rnj_1_config()
    config["rope_scaling"] = without(config["rope_scaling"], key)
    named = "type" if key == "rope_type" else key
    with pytest.raises(CheckpointError, match=f"rope_scaling: the key {named} is missing"):
        config_from_hf(config)


def test_layer_types_have_no_default() -> None:
    with pytest.raises(CheckpointError, match="neither layer_types nor sliding_window_pattern"):
        config_from_hf(without(rnj_1_config(), "sliding_window_pattern"))


def test_sliding_layers_need_their_own_theta() -> None:
    with pytest.raises(CheckpointError, match="rope_local_base_freq is missing"):
        config_from_hf(without(gemma_3_config(), "rope_local_base_freq"))


def test_rnj_1_has_full_layers_only() -> None:
    config = config_from_hf(rnj_1_config())
    assert set(config.layer_types) == {"full_attention"}
    assert config.local_rope is None
    assert config.sliding_window is None
    assert config.attention_scale == 32**-0.5
    assert config.rope.beta_fast == 64.0


def test_every_sixth_layer_of_gemma_3_is_full() -> None:
    layer_types = config_from_hf(gemma_3_config()).layer_types
    assert [layer for layer, kind in enumerate(layer_types) if kind == "full_attention"] == [5]


WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"hidden_size": "64"}, "hidden_size is '64', not a whole number"),
    ({"hidden_size": True}, "hidden_size is True, not a whole number"),
    ({"hidden_size": -1}, "hidden_size is -1"),
    ({"hidden_size": 0}, "hidden_size is 0, which cannot be"),
    ({"num_hidden_layers": 2**40}, "num_hidden_layers is 1099511627776"),
    ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan, not a number"),
    ({"num_key_value_heads": 3}, "4 query heads cannot share 3 key/value heads"),
    ({"head_dim": 31}, "head_dim is 31"),
    ({"layer_types": ["full_attention"]}, "layer_types has 1 entries for 3 layers"),
    ({"layer_types": ["chunked_attention"] * 3}, "'chunked_attention' is not supported"),
    ({"layer_types": "full_attention"}, "not a list of texts"),
    ({"hidden_activation": "relu"}, "hidden_activation 'relu' is not supported"),
    ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar is 0"),
    ({"rope_theta": 0.0}, "rope_theta 0.0"),
    ({"rope_scaling": []}, "rope_scaling is \\[\\], not an object"),
    ({"rope_scaling": {"rope_type": "dynamic"}}, "rope_type 'dynamic' is not supported"),
    ({"model_type": "gpt2"}, "model_type 'gpt2' is not supported"),
    ({"use_bidirectional_attention": True}, "use_bidirectional_attention is not supported"),
]


@pytest.mark.parametrize(("changes", "problem"), WRONG_VALUES)
def test_a_wrong_value_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        config_from_hf(rnj_1_config(**changes))


def test_llama_takes_its_head_size_from_the_hidden_size() -> None:
    config = config_from_hf(llama_config())
    assert config.head_dim == 16
    assert not config.has_qk_norm
    assert not config.has_qkv_bias
    assert config_from_hf(llama_config("qwen2")).has_qkv_bias


def test_gguf_gemma_3() -> None:
    config = config_from_gguf(GEMMA_3_270M)
    assert config.vocab_size == 10
    assert config.sliding_window == 512
    assert config.layer_types[5] == "full_attention"
    assert config.layer_types.count("sliding_attention") == 15
    assert config.attention_scale == 256**-0.5
    assert config.local_rope is not None
    assert config.local_rope.rope_theta == 10_000.0


@pytest.mark.parametrize(
    "key",
    [
        "general.architecture",
        "gemma3.context_length",
        "gemma3.embedding_length",
        "gemma3.block_count",
        "gemma3.feed_forward_length",
        "gemma3.attention.head_count",
        "gemma3.attention.head_count_kv",
        "gemma3.attention.layer_norm_rms_epsilon",
        "gemma3.rope.freq_base",
    ],
)
def test_a_missing_gguf_key_is_named(key: str) -> None:
    with pytest.raises(CheckpointError, match=f"the key {key} is missing"):
        config_from_gguf(without(GEMMA_3_270M, key))


def gguf_with(**scaling: object) -> ModelConfig:
    keys = {f"gemma3.rope.scaling.{name}": value for name, value in scaling.items()}
    return config_from_gguf({**GEMMA_3_270M, **keys})


def test_gguf_yarn() -> None:
    rope = gguf_with(
        type="yarn",
        factor=4.0,
        original_context_length=8192,
        yarn_beta_fast=64.0,
        yarn_beta_slow=1.0,
    ).rope
    assert rope.rope_type == "yarn"
    assert rope.attention_factor == pytest.approx(1.138629, abs=1e-6)
    assert (rope.beta_fast, rope.beta_slow) == (64.0, 1.0)


def test_gguf_yarn_without_betas_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="yarn_beta_fast is missing"):
        gguf_with(type="yarn", factor=4.0, original_context_length=8192)


def test_gguf_scaling_leaves_sliding_layers_alone() -> None:
    config = gguf_with(type="linear", factor=8.0)
    assert config.rope.factor == 8.0
    assert config.local_rope is not None
    assert config.local_rope.rope_type == "default"


def test_gguf_of_another_architecture_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="architecture 'mamba' is not supported"):
        config_from_gguf({"general.architecture": "mamba"})
