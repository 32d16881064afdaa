from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import (
    Config,
    Weights,
    gemma_3_config,
    load_float32,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_gguf,
    write_safetensors,
)
from tests.runtime.paged_forward import PagedModel

TOLERANCE = 1e-4
NUM_POSITIONS = 64
ORIGINAL_CONTEXT = 32


def reference_logits(config: Config, weights: Weights, token_ids: Sequence[int]) -> Tensor:
    """transformers' logits, [T, V]."""
    renamed = {key: value for key, value in config.items() if not key.startswith("rope")}
    layer_types = [
        "sliding_attention" if (layer + 1) % config["sliding_window_pattern"] else "full_attention"
        for layer in range(config["num_hidden_layers"])
    ]
    reference = Gemma3TextConfig(
        **renamed,
        layer_types=layer_types,
        # only the nested form is read
        rope_parameters={
            "full_attention": {**config["rope_scaling"], "rope_theta": config["rope_theta"]},
            "sliding_attention": {
                "rope_type": "default",
                "rope_theta": config["rope_local_base_freq"],
            },
        },
    )
    model = Gemma3ForCausalLM(reference).eval()
    model.set_attn_implementation("eager")
    missing = model.load_state_dict(dict(weights), strict=False)
    assert missing.missing_keys in ([], ["lm_head.weight"])
    assert not missing.unexpected_keys
    with torch.inference_mode():
        return model(torch.tensor([token_ids])).logits[0]


def transformers_4(config: Config) -> Config:
    return config


def transformers_5_flat(config: Config) -> Config:
    config = dict(config)
    scaling, theta = config.pop("rope_scaling"), config.pop("rope_theta")
    return {**config, "rope_parameters": {**scaling, "rope_theta": theta}}


def transformers_5_nested(config: Config) -> Config:
    flat = transformers_5_flat(config)
    local: dict[str, Any] = {
        "rope_type": "default",
        "rope_theta": flat.pop("rope_local_base_freq"),
    }
    nested = {"full_attention": flat["rope_parameters"], "sliding_attention": local}
    return {**flat, "rope_parameters": nested}


SPELLINGS = [transformers_4, transformers_5_flat, transformers_5_nested]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_rnj_1_equals_transformers_before_and_beyond_the_original_context(
    tmp_path: Path, spelling: Callable[[Config], Config]
) -> None:
    config = rnj_1_config()
    weights = random_weights(config)
    tokens = some_tokens(NUM_POSITIONS)
    expected = reference_logits(config, weights, tokens)
    model = load_float32(write_safetensors(tmp_path, spelling(config), weights))
    difference = (our_logits(model, tokens) - expected).abs()
    assert difference[:ORIGINAL_CONTEXT].max() <= TOLERANCE
    assert difference[ORIGINAL_CONTEXT:].max() <= TOLERANCE
    assert expected.abs().max() > 15, "the soft-cap must have something to bend"


def test_rnj_1_without_yarn_differs_so_the_comparison_can_fail(tmp_path: Path) -> None:
    config = rnj_1_config()
    weights = random_weights(config)
    tokens = some_tokens(NUM_POSITIONS)
    expected = reference_logits(config, weights, tokens)
    config["rope_scaling"] = {"rope_type": "linear", "factor": 4.0}
    model = load_float32(write_safetensors(tmp_path, config, weights))
    assert (our_logits(model, tokens) - expected).abs().max() > 0.1


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_gemma_3_with_sliding_layers_equals_transformers(
    tmp_path: Path, spelling: Callable[[Config], Config]
) -> None:
    config = gemma_3_config()
    weights = random_weights(config)
    tokens = some_tokens(NUM_POSITIONS)
    expected = reference_logits(config, weights, tokens)
    model = load_float32(write_safetensors(tmp_path, spelling(config), weights))
    assert (our_logits(model, tokens) - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("make_config", [rnj_1_config, gemma_3_config])
@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([1] * NUM_POSITIONS, id="decode"),
        pytest.param([40] + [1] * 24, id="prefill and decode"),
        pytest.param([7, 25, 3, 1, 28], id="chunked prefill"),
    ],
)
def test_chunks_give_the_logits_of_one_pass(
    tmp_path: Path, make_config: Callable[[], Config], chunks: Sequence[int]
) -> None:
    config = make_config()
    model = load_float32(write_safetensors(tmp_path, config, random_weights(config)))
    tokens = some_tokens(NUM_POSITIONS)
    difference = our_logits(model, tokens, chunks) - our_logits(model, tokens)
    assert difference.abs().max() <= TOLERANCE


def test_a_truncated_sequence_continues_as_if_the_rest_had_never_been(tmp_path: Path) -> None:
    config = gemma_3_config()
    model = load_float32(write_safetensors(tmp_path, config, random_weights(config)))
    shared, abandoned, taken = some_tokens(20), some_tokens(12, seed=1), some_tokens(9, seed=2)
    paged = PagedModel(model=model)
    sequence = paged.sequence(64)
    paged.run(sequence, shared + abandoned)
    sequence.length = len(shared)
    reused = paged.run(sequence, taken)
    assert (reused - our_logits(model, shared + taken)[len(shared) :]).abs().max() <= TOLERANCE


def test_bfloat16_stays_near_float32(tmp_path: Path) -> None:
    config = rnj_1_config()
    folder = write_safetensors(tmp_path, config, random_weights(config))
    tokens = some_tokens(NUM_POSITIONS)
    exact = our_logits(load_float32(folder), tokens)
    rounded = our_logits(load_model(open_checkpoint(folder), dtype=torch.bfloat16), tokens)
    assert rounded.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(exact, rounded).min() > 0.99


@pytest.mark.parametrize("make_config", [rnj_1_config, gemma_3_config])
def test_gguf_is_the_same_model(tmp_path: Path, make_config: Callable[[], Config]) -> None:
    config = make_config()
    weights = random_weights(config)
    tokens = some_tokens(NUM_POSITIONS)
    expected = our_logits(load_float32(write_safetensors(tmp_path, config, weights)), tokens)
    model = load_float32(write_gguf(tmp_path / "tiny.gguf", config, weights))
    assert (our_logits(model, tokens) - expected).abs().max() <= TOLERANCE


def test_what_transformers_saves_loads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=160,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            query_pre_attn_scalar=32,
            layer_types=["sliding_attention", "full_attention"],
            sliding_window=8,
        )
    ).eval()
    reference.save_pretrained(tmp_path)
    tokens = some_tokens(20)
    with torch.inference_mode():
        expected = reference(torch.tensor([tokens])).logits[0]
    assert (our_logits(load_float32(tmp_path), tokens) - expected).abs().max() <= TOLERANCE
