"""Real model files under RNJ_HOME, and transformers' models over their dequantised weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
import torch
from gguf.quants import dequantize
from torch import Tensor
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from rnj_agent.runtime.weights.gguf_file import GGUFFile
from tests.runtime.model_checkpoints import GEMMA_CPP_NAMES, LLAMA_CPP_NAMES

QWEN = "qwen2.5-coder-1.5b/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
SMOLLM2 = "smollm2-135m/smollm2-135m-instruct-q4_1.gguf"
GEMMA_3 = "gemma-3-270m/gemma-3-270m-q4_k_m.gguf"


def model_file(name: str) -> Path:
    """The file, or a skip that says how to get it."""
    home = os.environ.get("RNJ_HOME") or platformdirs.user_cache_path("rnj-agent")
    path = Path(home) / "models" / name
    if not path.exists():
        pytest.skip(f"{path} is not there: rnj-agent model pull {Path(name).parent}")
    return path


def token_ids(file: GGUFFile, text: str) -> list[int]:
    """Longest match over the vocabulary: not what the tokenizer gives, but real tokens."""
    values: Any = file.metadata
    ids = {token: index for index, token in enumerate(values["tokenizer.ggml.tokens"])}
    is_gemma = values["general.architecture"] == "gemma3"
    text = text.replace(" ", "▁") if is_gemma else text.replace(" ", "Ġ").replace("\n", "Ċ")
    found: list[int] = [values["tokenizer.ggml.bos_token_id"]] if is_gemma else []
    while text:
        length = next(n for n in range(min(len(text), 20), 0, -1) if text[:n] in ids)
        found.append(ids[text[:length]])
        text = text[length:]
    return found


def reference_model(file: GGUFFile, *, num_layers: int | None = None) -> PreTrainedModel:
    """transformers' model in float32, its weights dequantised by the gguf package."""
    model = _empty_model(file, num_layers).eval()
    model.set_attn_implementation("eager")
    weights = model.state_dict()
    with torch.no_grad():
        for name, weight in weights.items():
            stored = _stored_name(name, file)
            if stored in file.tensors:
                weight.copy_(_dequantized(file, stored, name).view(weight.shape))
            else:
                assert name == "lm_head.weight", f"{stored} is not in the file"
    return model


def _empty_model(file: GGUFFile, num_layers: int | None) -> Any:
    values: Any = file.metadata
    architecture = values["general.architecture"]

    def get(key: str) -> Any:
        return values[f"{architecture}.{key}"]

    shared: dict[str, Any] = {
        "vocab_size": len(values["tokenizer.ggml.tokens"]),
        "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": num_layers or get("block_count"),
        "num_attention_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "max_position_embeddings": get("context_length"),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    rope = {"rope_type": "default", "rope_theta": get("rope.freq_base")}
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**shared, rope_parameters=rope))
    if architecture == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**shared, rope_parameters=rope))
    return Gemma3ForCausalLM(
        Gemma3TextConfig(
            **shared,
            head_dim=get("attention.key_length"),
            query_pre_attn_scalar=get("attention.key_length"),
            sliding_window=get("attention.sliding_window"),
            rope_parameters={
                "full_attention": rope,
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        )
    )


def _stored_name(name: str, file: GGUFFile) -> str:
    is_gemma = file.metadata["general.architecture"] == "gemma3"
    names = GEMMA_CPP_NAMES if is_gemma else LLAMA_CPP_NAMES
    stem, _, kind = name.rpartition(".")
    if not stem.startswith("model.layers."):
        return f"{names[stem]}.{kind}"
    layer, _, part = stem.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{names[part]}.{kind}"


def _dequantized(file: GGUFFile, stored: str, name: str) -> Tensor:
    """As Hugging Face's checkpoint has it: q and k rows of llama in order, norms as w."""
    tensor = file.tensors[stored]
    raw = np.asarray(file.read(stored).numpy()).reshape(tensor.shape[0], -1)
    if tensor.type.name == "F32":
        raw = raw.view(np.float32)
    weights = torch.from_numpy(np.ascontiguousarray(dequantize(raw, tensor.type)))
    architecture = file.metadata["general.architecture"]
    if architecture == "gemma3" and name.endswith("norm.weight"):
        return weights - 1
    if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
        head_dim: Any = file.metadata["llama.rope.dimension_count"]
        pairs = weights.view(-1, head_dim // 2, 2, weights.shape[1])
        return torch.cat((pairs[:, :, 0], pairs[:, :, 1]), dim=1)
    return weights
