"""Writes a GGUF model as a Hugging Face folder in bf16: real weights for what reads only those.

For the model alone: there is no tokenizer in the folder; the GGUF file has it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig, RopeConfig
from rnj_agent.runtime.weights.checkpoint import Checkpoint, open_checkpoint

CLASSES = {
    "gemma3": ("Gemma3ForCausalLM", "gemma3_text"),
    "llama": ("LlamaForCausalLM", "llama"),
    "qwen2": ("Qwen2ForCausalLM", "qwen2"),
}
SAME_NAMES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
)
YARN_NAMES = (
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "truncate",
)
LLAMA3_NAMES = (
    "factor",
    "original_max_position_embeddings",
    "low_freq_factor",
    "high_freq_factor",
)


def export_hf_folder(gguf: Path, folder: Path, *, num_shards: int = 1) -> Path:
    """The dequantised weights, rounded to bfloat16, and a config.json that transformers reads.

    Shards are filled one after the other, so that only one is in memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = open_checkpoint(gguf)
    has_head = "lm_head.weight" in checkpoint.shapes
    config = hf_config(checkpoint.config, tied=not has_head)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    names = sorted(checkpoint.shapes)
    weight_map: dict[str, str] = {}
    for shard in range(num_shards):
        file = f"model-{shard + 1:05}-of-{num_shards:05}.safetensors"
        file = file if num_shards > 1 else "model.safetensors"
        part = {name: _weight(checkpoint, name) for name in names[shard::num_shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    if num_shards > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint.close()
    return folder


def hf_config(config: ModelConfig, *, tied: bool) -> dict[str, Any]:
    """As transformers 5 writes it."""
    class_name, model_type = CLASSES[config.architecture]
    written: dict[str, Any] = {
        "architectures": [class_name],
        "model_type": model_type,
        "dtype": "bfloat16",
        "tie_word_embeddings": tied,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        **{name: getattr(config, name) for name in SAME_NAMES},
    }
    if config.architecture != "gemma3":
        rope = _rope(config.rope)
        return {**written, "hidden_act": config.hidden_activation, "rope_parameters": rope}
    return {
        **written,
        "hidden_activation": config.hidden_activation,
        "layer_types": list(config.layer_types),
        "sliding_window": config.sliding_window or config.max_position_embeddings,
        "query_pre_attn_scalar": round(config.attention_scale**-2),
        "attn_logit_softcapping": config.attn_logit_softcapping,
        "final_logit_softcapping": config.final_logit_softcapping,
        "rope_parameters": {
            "full_attention": _rope(config.rope),
            "sliding_attention": _rope(config.local_rope or config.rope),
        },
    }


def _rope(rope: RopeConfig) -> dict[str, Any]:
    written: dict[str, Any] = {"rope_type": rope.rope_type, "rope_theta": rope.rope_theta}
    match rope.rope_type:
        case "default":
            names = ()
        case "linear":
            names = ("factor",)
        case "yarn":
            names = YARN_NAMES
        case "llama3":
            names = LLAMA3_NAMES
    return {**written, **{name: getattr(rope, name) for name in names}}


def _weight(checkpoint: Checkpoint, name: str) -> Tensor:
    """In bfloat16; Gemma's norms as w, where GGUF has 1 + w."""
    weight = torch.empty(checkpoint.shapes[name])
    checkpoint.load_into(name, weight)
    if checkpoint.config.architecture == "gemma3" and name.endswith("norm.weight"):
        weight -= 1
    return weight.bfloat16()
