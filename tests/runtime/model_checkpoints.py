"""Writes tiny random checkpoints, and runs ours and transformers' models over the same tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from rnj_agent.runtime.models import CausalLM, load_model
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.paged_forward import PagedModel

if TYPE_CHECKING:
    from gguf import GGUFWriter  # a machine with a GPU may lack it: only writing needs it

VOCAB = 160
Config = dict[str, Any]
Weights = Mapping[str, Tensor]


def rnj_1_config(**changes: Any) -> Config:
    """Rnj-1's config in small, as transformers 4 writes it: YaRN over an original context of 32."""
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-6,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 32,
        "sliding_window": 64,
        "sliding_window_pattern": 1,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": 30.0,
        "rope_theta": 10000.0,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 32,
            "attn_factor": 1.0,
            "extrapolation_factor": 1.0,
            "beta_fast": 64.0,
            "beta_slow": 1.0,
        },
        **changes,
    }


def gemma_3_config() -> Config:
    """Gemma 3 in small: five sliding layers to a full one, two rope bases, linear scaling."""
    return rnj_1_config(
        num_hidden_layers=7,
        sliding_window=8,
        sliding_window_pattern=6,
        final_logit_softcapping=None,
        rope_theta=1000000.0,
        rope_scaling={"rope_type": "linear", "factor": 8.0},
    )


def llama_config(model_type: str = "llama", **changes: Any) -> Config:
    """Llama or Qwen2 in small."""
    return {
        "model_type": model_type,
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "rope_theta": 500000.0,
        **changes,
    }


def random_weights(config: Config, *, seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of the model, large enough that attention is sharp and logits reach the cap."""
    generator = torch.Generator().manual_seed(seed)
    hidden, ffn = config["hidden_size"], config["intermediate_size"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    queries, keys = (config[f"num_{kind}_heads"] * head_dim for kind in ("attention", "key_value"))
    is_gemma3 = config["model_type"] == "gemma3_text"

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])

    def norm(size: int) -> Tensor:
        return torch.randn(size, generator=generator) * 0.2 + (0.0 if is_gemma3 else 1.0)

    weights = {
        "model.embed_tokens.weight": random(VOCAB, hidden) * 3,
        "model.norm.weight": norm(hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        block = {
            "self_attn.q_proj.weight": random(queries, hidden) * 2,
            "self_attn.k_proj.weight": random(keys, hidden) * 2,
            "self_attn.v_proj.weight": random(keys, hidden),
            "self_attn.o_proj.weight": random(hidden, queries),
            "mlp.gate_proj.weight": random(ffn, hidden),
            "mlp.up_proj.weight": random(ffn, hidden),
            "mlp.down_proj.weight": random(hidden, ffn),
            "input_layernorm.weight": norm(hidden),
            "post_attention_layernorm.weight": norm(hidden),
        }
        if is_gemma3:
            block["pre_feedforward_layernorm.weight"] = norm(hidden)
            block["post_feedforward_layernorm.weight"] = norm(hidden)
            block["self_attn.q_norm.weight"] = norm(head_dim)
            block["self_attn.k_norm.weight"] = norm(head_dim)
        if config["model_type"] == "qwen2":
            for name, size in (("q", queries), ("k", keys), ("v", keys)):
                block[f"self_attn.{name}_proj.bias"] = random(size)
        weights |= {f"model.layers.{layer}.{name}": tensor for name, tensor in block.items()}
    if not is_gemma3 and not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = random(VOCAB, hidden)
    return weights


def write_safetensors(
    folder: Path, config: Config, weights: Weights, *, num_shards: int = 1
) -> Path:
    """A Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if num_shards == 1:
        save_file(dict(weights), folder / "model.safetensors")
        return folder
    names = sorted(weights)
    weight_map: dict[str, str] = {}
    for shard in range(num_shards):
        file = f"model-{shard + 1:05}-of-{num_shards:05}.safetensors"
        part = {name: weights[name] for name in names[shard::num_shards]}
        save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


LLAMA_CPP_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GEMMA_CPP_NAMES = {
    **LLAMA_CPP_NAMES,
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def write_gguf(path: Path, config: Config, weights: Weights) -> Path:
    """The same model as llama.cpp's converter writes it: float32, permuted, norms as 1 + w."""
    pytest.importorskip("gguf", reason="gguf is missing: pip install gguf")
    from gguf import GGUFWriter

    architecture = config["model_type"].removesuffix("_text")
    writer = GGUFWriter(path, architecture)
    _add_config(writer, config)
    for name, tensor in weights.items():
        writer.add_tensor(_cpp_name(name, architecture), _cpp_tensor(name, tensor, config).numpy())
    if "rope_freqs" in config:
        writer.add_tensor("rope_freqs.weight", config["rope_freqs"].numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def load_float32(path: Path) -> CausalLM:
    """Our model, its weights in float32 whatever the file holds."""
    return load_model(open_checkpoint(path), dtype=torch.float32, quant="none")


def our_logits(model: CausalLM, token_ids: Sequence[int], chunks: Sequence[int] = ()) -> Tensor:
    """Of every position, [T, V]; fed in chunks of these sizes, else at once."""
    paged = PagedModel(model=model, num_blocks=-(-len(token_ids) // 64))
    return paged.run(paged.sequence(len(token_ids)), token_ids, chunks)


def some_tokens(count: int, *, seed: int = 0) -> list[int]:
    """Random, but always the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCAB, (count,), generator=generator).tolist()


def _add_config(writer: GGUFWriter, config: Config) -> None:
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if config.get("sliding_window_pattern", 1) > 1:
        writer.add_sliding_window(config["sliding_window"])
    scaling = config.get("rope_scaling")
    if scaling and scaling["rope_type"] != "llama3":
        arch = writer.arch
        writer.add_string(f"{arch}.rope.scaling.type", scaling["rope_type"])
        writer.add_rope_scaling_factor(scaling["factor"])
        if scaling["rope_type"] == "yarn":
            writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
            writer.add_float32(f"{arch}.rope.scaling.yarn_beta_fast", scaling["beta_fast"])
            writer.add_float32(f"{arch}.rope.scaling.yarn_beta_slow", scaling["beta_slow"])


def _cpp_name(name: str, architecture: str) -> str:
    names = GEMMA_CPP_NAMES if architecture == "gemma3" else LLAMA_CPP_NAMES
    stem, _, kind = name.rpartition(".")
    if not stem.startswith("model.layers."):
        return f"{names[stem]}.{kind}"
    layer, _, part = stem.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{names[part]}.{kind}"


def _cpp_tensor(name: str, tensor: Tensor, config: Config) -> Tensor:
    if config["model_type"] == "gemma3_text" and name.endswith("norm.weight"):
        return tensor + 1
    for projection, kind in (("q_proj", "attention"), ("k_proj", "key_value")):
        if config["model_type"] == "llama" and f"{projection}.weight" in name:
            halves = tensor.unflatten(0, (config[f"num_{kind}_heads"], 2, -1))
            return halves.transpose(1, 2).reshape(tensor.shape).contiguous()
    return tensor
