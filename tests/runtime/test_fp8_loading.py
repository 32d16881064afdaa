"""FP8 checkpoints in all the shapes that occur: the same model as their dequantised weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from rnj_agent.runtime.layers.linear import DenseLinear
from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.models.loading import default_quant
from rnj_agent.runtime.quant.fp8_cpu import Fp8CpuLinear
from rnj_agent.runtime.quant.packed_linear import PackedLinear
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.fp8_checkpoints import (
    DYNAMIC_GROUP,
    NUM_BITS_8,
    as_stored,
    dequantized,
    is_projection,
    quantized,
    quantized_by_tensor,
    with_quantization,
    write_fp8,
)
from tests.runtime.model_checkpoints import (
    Config,
    Weights,
    llama_config,
    load_float32,
    our_logits,
    random_weights,
    rnj_1_config,
    some_tokens,
    write_gguf,
    write_safetensors,
)

TOKENS = some_tokens(24)
QWEN_2 = llama_config("qwen2")
"""With biases, and a head of its own."""


def load_widened(path: Path) -> CausalLM:
    return load_model(open_checkpoint(path), dtype=torch.float32, quant="none")


def load_fp8(path: Path, **options: Any) -> CausalLM:
    return load_model(open_checkpoint(path), dtype=torch.float32, quant="fp8", **options)


def assert_same_model(path: Path, folder: Path, config: Config, stored: Weights) -> None:
    """Widened, it is the dequantised model; in FP8, the same but for the order of rounding."""
    expected = our_logits(
        load_float32(write_safetensors(folder, config, dequantized(stored))), TOKENS
    )
    assert torch.equal(our_logits(load_widened(path), TOKENS), expected)
    assert (our_logits(load_fp8(path), TOKENS) - expected).abs().max() < 1e-3


SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "bf16 [N, 1]": as_stored,
    "bf16 [N]": lambda scale: scale.bfloat16(),
    "f32 [N, 1]": lambda scale: scale[:, None],
    "f32 [N]": lambda scale: scale,
    "f16 [N, 1]": lambda scale: scale.half()[:, None],
}


@pytest.mark.parametrize("num_shards", [1, 3])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("config", [rnj_1_config(), QWEN_2], ids=["rnj-1", "qwen2"])
def test_scales_of_all_types_and_shapes(
    tmp_path: Path, config: Config, scale: str, num_shards: int
) -> None:
    stored = quantized(random_weights(config), scale=SCALES[scale])
    path = write_safetensors(
        tmp_path / "fp8", with_quantization(config), stored, num_shards=num_shards
    )
    assert_same_model(path, tmp_path / "wide", config, stored)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_scale_for_a_whole_weight(tmp_path: Path, shape: tuple[int, ...]) -> None:
    config = rnj_1_config()
    stored = quantized_by_tensor(random_weights(config), shape)
    auto_fp8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "ignored_layers": None}
    path = write_safetensors(tmp_path / "fp8", with_quantization(config, auto_fp8), stored)
    assert_same_model(path, tmp_path / "wide", config, stored)


WEIGHT_ONLY = {**DYNAMIC_GROUP, "input_activations": None}
BY_TENSOR = {**DYNAMIC_GROUP, "weights": {**NUM_BITS_8, "dynamic": False}}
INFERRED = {**DYNAMIC_GROUP, "weights": {**NUM_BITS_8, "group_size": -1}}
SPELLINGS: list[dict[str, Any]] = [
    {"format": "naive-quantized"},
    {"quantization_status": "frozen", "global_compression_ratio": 1.5},
    {"ignore": ["re:.*lm_head"]},
    {"ignore": None},
    {"config_groups": {"group_0": WEIGHT_ONLY}},
    {"config_groups": {"group_0": INFERRED}},
    {"config_groups": {"group_0": {**BY_TENSOR, "targets": ["re:.*_proj"]}}},
    {"config_groups": {"FP8_DYNAMIC": ["Linear"]}},
    {
        "config_groups": {
            "group_0": {**DYNAMIC_GROUP, "targets": ["re:.*self_attn"]},
            "group_1": {**DYNAMIC_GROUP, "targets": ["re:.*mlp"]},
        }
    },
    {"sparsity_config": {"format": "dense"}},
]


@pytest.mark.parametrize("changes", SPELLINGS, ids=lambda changes: str(changes)[:40])
def test_spellings_of_the_same_scheme(tmp_path: Path, changes: dict[str, Any]) -> None:
    config = rnj_1_config()
    stored = quantized(random_weights(config))
    path = write_safetensors(tmp_path, with_quantization(config, **changes), stored)
    checkpoint = open_checkpoint(path)
    assert checkpoint.fp8_weights == {name for name in checkpoint.shapes if is_projection(name)}
    assert default_quant(checkpoint, torch.bfloat16, "cuda") == "fp8"


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0},
        {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]},
        {"quant_method": "fp8", "activation_scheme": "dynamic", "ignored_layers": ["lm_head"]},
    ],
)
def test_older_methods_with_the_same_arithmetic(
    tmp_path: Path, quantization: dict[str, Any]
) -> None:
    stored = quantized(random_weights(QWEN_2))
    path = write_safetensors(tmp_path / "fp8", with_quantization(QWEN_2, quantization), stored)
    assert_same_model(path, tmp_path / "wide", QWEN_2, stored)


def test_the_older_name_of_the_config(tmp_path: Path) -> None:
    config = with_quantization(rnj_1_config())
    config["compression_config"] = config.pop("quantization_config")
    path = write_safetensors(tmp_path, config, quantized(random_weights(config)))
    assert open_checkpoint(path).fp8_weights


def test_a_quantised_head_of_its_own(tmp_path: Path) -> None:
    stored = quantized(
        random_weights(QWEN_2), which=lambda name: is_projection(name) or name == "lm_head.weight"
    )
    path = write_safetensors(tmp_path / "fp8", with_quantization(QWEN_2, ignore=[]), stored)
    assert_same_model(path, tmp_path / "wide", QWEN_2, stored)
    assert isinstance(load_fp8(path).lm_head, Fp8CpuLinear | PackedLinear)


def test_a_quantised_embedding_is_widened(tmp_path: Path) -> None:
    config = rnj_1_config()
    stored = quantized(
        random_weights(config), which=lambda name: is_projection(name) or "embed" in name
    )
    group = {**DYNAMIC_GROUP, "targets": ["Linear", "Embedding"]}
    quantization = with_quantization(config, config_groups={"group_0": group})
    path = write_safetensors(tmp_path / "fp8", quantization, stored)
    assert_same_model(path, tmp_path / "wide", config, stored)


def test_a_projection_fused_with_one_that_is_not_fp8(tmp_path: Path) -> None:
    config = rnj_1_config()
    ignored = "model.layers.1.self_attn.k_proj"
    stored = quantized(
        random_weights(config), which=lambda name: is_projection(name) and ignored not in name
    )
    quantization = with_quantization(config, ignore=["lm_head", ignored, "re:.*layers.9.*"])
    path = write_safetensors(tmp_path / "fp8", quantization, stored)
    assert_same_model(path, tmp_path / "wide", config, stored)


def test_scales_of_a_quantised_cache_are_left_out(tmp_path: Path) -> None:
    config = rnj_1_config()
    stored = quantized(random_weights(config))
    stored["model.layers.0.self_attn.k_scale"] = torch.ones(1)
    stored["model.layers.0.self_attn.v_scale"] = torch.ones(1)
    quantization = with_quantization(config, kv_cache_scheme={**NUM_BITS_8, "dynamic": False})
    path = write_safetensors(tmp_path / "fp8", quantization, stored)
    assert_same_model(path, tmp_path / "wide", config, stored)


@pytest.mark.parametrize("quantize_activations", [False, True])
@pytest.mark.parametrize("config", [rnj_1_config(), QWEN_2], ids=["rnj-1", "qwen2"])
def test_fp8_made_at_load_is_what_a_file_of_it_holds(
    tmp_path: Path, config: Config, quantize_activations: bool
) -> None:
    weights = {name: weight.bfloat16() for name, weight in random_weights(config).items()}
    from_bf16 = load_model(
        open_checkpoint(write_safetensors(tmp_path / "bf16", config, weights)),
        dtype=torch.bfloat16,
        quant="fp8",
        quantize_activations=quantize_activations,
    )
    from_fp8 = load_model(
        open_checkpoint(write_fp8(tmp_path / "fp8", config)),
        dtype=torch.bfloat16,
        quant="fp8",
        quantize_activations=quantize_activations,
    )
    assert isinstance(from_bf16.lm_head, DenseLinear)
    assert torch.equal(our_logits(from_bf16, TOKENS), our_logits(from_fp8, TOKENS))


def test_fp8_made_of_a_gguf_stays_near(tmp_path: Path) -> None:
    config = llama_config()
    path = write_gguf(tmp_path / "model.gguf", config, random_weights(config))
    exact = our_logits(load_float32(path), TOKENS)
    for quantize_activations in (False, True):
        model = load_fp8(path, quantize_activations=quantize_activations)
        similarity = cosine_similarity(our_logits(model, TOKENS), exact)
        assert similarity.min() > 0.9
        assert similarity.median() > 0.98


def test_int8_made_of_fp8_stays_near(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_fp8(tmp_path))
    exact = our_logits(load_model(checkpoint, dtype=torch.bfloat16, quant="none"), TOKENS)
    model = load_model(checkpoint, dtype=torch.bfloat16, quant="int8")
    assert cosine_similarity(our_logits(model, TOKENS), exact).min() > 0.97


def test_progress_counts_weights_and_not_their_scales(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    checkpoint = open_checkpoint(write_fp8(tmp_path, num_shards=2))
    load_model(checkpoint, progress=lambda done, total: seen.append((done, total)))
    total = len(random_weights(rnj_1_config()))
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_one_shard_is_mapped_at_a_time(tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc/self/maps: run it on Linux")
    checkpoint = open_checkpoint(write_fp8(tmp_path, num_shards=4))
    most = 0

    def count(_done: int, _total: int) -> None:
        nonlocal most
        lines = maps.read_text().splitlines()
        most = max(most, len({line.split()[-1] for line in lines if str(tmp_path) in line}))

    load_model(checkpoint, progress=count)
    assert most == 1
