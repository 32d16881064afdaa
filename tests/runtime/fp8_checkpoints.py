"""Writes tiny FP8 checkpoints in the spellings that occur, apart from the tool that quantises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnj_agent.runtime.quant.fp8 import quantize_tokens, quantize_weight
from tests.runtime.model_checkpoints import (
    Config,
    Weights,
    random_weights,
    rnj_1_config,
    write_safetensors,
)
from tests.runtime.small_vocabulary import trained
from tests.runtime.tiny_checkpoint import CHAT_TEMPLATE

NUM_BITS_8 = {"num_bits": 8, "type": "float", "symmetric": True}
DYNAMIC_GROUP = {
    "targets": ["Linear"],
    "weights": {**NUM_BITS_8, "strategy": "channel", "dynamic": False},
    "input_activations": {**NUM_BITS_8, "strategy": "token", "dynamic": True},
}
FP8_DYNAMIC = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "quantization_status": "compressed",
    "config_groups": {"group_0": DYNAMIC_GROUP},
    "ignore": ["lm_head"],
    "kv_cache_scheme": None,
}
CHATTING_VOCAB = 400


def as_stored(scale: Tensor) -> Tensor:
    """What llm-compressor writes: bfloat16 [N, 1]."""
    return scale.bfloat16()[:, None]


def is_projection(name: str) -> bool:
    return name.endswith("_proj.weight")


def quantized(
    weights: Weights,
    *,
    which: Callable[[str], bool] = is_projection,
    scale: Callable[[Tensor], Tensor] = as_stored,
) -> dict[str, Tensor]:
    """bfloat16, and of some weights FP8 and their scales.

    Args:
        weights: in floating point.
        which: become FP8.
        scale: makes what is stored of float32 [N].
    """
    stored = {name: weight.bfloat16() for name, weight in weights.items()}
    for name in filter(which, weights):
        data, row_scale = quantize_weight(stored[name])
        stored[name] = data
        stored[f"{name}_scale"] = scale(row_scale).contiguous()
    return stored


def quantized_by_tensor(weights: Weights, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """One scale for each weight, of a shape with one element, as AutoFP8 writes it."""
    stored = {name: weight.bfloat16() for name, weight in weights.items()}
    for name in filter(is_projection, weights):
        rows = quantize_tokens(stored[name].reshape(1, -1))
        stored[name] = rows.data.view(weights[name].shape)
        stored[f"{name}_scale"] = rows.scale.view(shape)
    return stored


def dequantized(stored: Weights) -> dict[str, Tensor]:
    """float32: what the FP8 weights stand for, and all others."""
    weights = {name: weight for name, weight in stored.items() if "_scale" not in name}
    for name, weight in weights.items():
        if weight.dtype == torch.float8_e4m3fn:
            scale = stored[f"{name}_scale"].float().reshape(-1, 1).expand(len(weight), 1)
            weights[name] = (weight.float() * scale).float()
    return {name: weight.float() for name, weight in weights.items()}


def with_quantization(config: Config, quantization: object = FP8_DYNAMIC, **changes: Any) -> Config:
    """A model's config that says so of its weights."""
    if changes and isinstance(quantization, dict):
        quantization = {**quantization, **changes}
    return {**config, "quantization_config": quantization}


def write_fp8(
    folder: Path, config: Config | None = None, *, num_shards: int = 1, **changes: Any
) -> Path:
    """Rnj-1 in small, as FP8_DYNAMIC.

    Args:
        folder: where to.
        config: None: Rnj-1's.
        num_shards: of equal numbers of tensors.
        changes: of ``quantized``.
    """
    config = config or rnj_1_config()
    stored = quantized(random_weights(config), **changes)
    return write_safetensors(folder, with_quantization(config), stored, num_shards=num_shards)


def write_chatting_fp8(folder: Path) -> Path:
    """With a tokenizer and a template: what a server needs. Its replies are noise."""
    config = rnj_1_config(vocab_size=CHATTING_VOCAB, max_position_embeddings=1024)
    weights = random_weights(config)
    generator = torch.Generator().manual_seed(1)
    shape = (CHATTING_VOCAB, config["hidden_size"])
    weights["model.embed_tokens.weight"] = torch.randn(shape, generator=generator) / 3
    write_safetensors(folder, with_quantization(config), quantized(weights))
    trained(num_tokens=CHATTING_VOCAB - 10).save(str(folder / "tokenizer.json"))
    tokenizer_config = {"chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    return folder
