"""The model that a GGUF file's metadata describes: architectures llama, qwen2 and gemma3.

Where GGUF leaves a value out by design (Gemma 3's window pattern and local rope), the rule is
llama.cpp's: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-model.cpp
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from rnj_agent.runtime.config import (
    MAX_NUM_HIDDEN_LAYERS,
    LayerType,
    ModelConfig,
    RopeConfig,
)
from rnj_agent.runtime.weights.config_values import ConfigValues
from rnj_agent.runtime.weights.hf_config import sliding_pattern
from rnj_agent.runtime.weights.hf_rope import YARN_BETA_FAST, YARN_BETA_SLOW, yarn_magnitude

GEMMA3_SLIDING_PATTERN = 6
GEMMA3_LOCAL_ROPE_THETA = 10_000.0
GEMMA3_27B_NUM_LAYERS = 62


def config_from_gguf(metadata: Mapping[str, object], *, where: str = "GGUF") -> ModelConfig:
    """The model that a GGUF file's metadata describes.

    Raises:
        CheckpointError: an unsupported architecture, or a key that is missing or wrong.
    """
    architecture = ConfigValues(metadata, where=where).text("general.architecture")
    if architecture not in {"llama", "qwen2", "gemma3"}:
        raise ConfigValues(metadata, where=where).error(
            f"architecture {architecture!r} is not supported, only gemma3 (Rnj-1), llama and qwen2"
        )
    values = ConfigValues(metadata, where=where, prefix=f"{architecture}.")
    if values.integer("expert_count", 0):
        raise values.error("mixtures of experts are not supported")
    return _config(
        values,
        architecture=cast("Literal['llama', 'qwen2', 'gemma3']", architecture),
        vocab_size=_vocab_size(values, metadata),
    )


def _config(
    values: ConfigValues, *, architecture: Literal["llama", "qwen2", "gemma3"], vocab_size: int
) -> ModelConfig:
    is_gemma3 = architecture == "gemma3"
    num_hidden_layers = values.integer("block_count", at_most=MAX_NUM_HIDDEN_LAYERS)
    layer_types = _layer_types(values, num_hidden_layers, is_gemma3=is_gemma3)
    has_sliding = "sliding_attention" in layer_types
    head_dim = _head_dim(values)
    return ModelConfig(
        architecture=architecture,
        vocab_size=vocab_size,
        hidden_size=values.integer("embedding_length"),
        intermediate_size=values.integer("feed_forward_length"),
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=values.integer("attention.head_count"),
        num_key_value_heads=values.integer("attention.head_count_kv"),
        head_dim=head_dim,
        max_position_embeddings=values.integer("context_length"),
        rms_norm_eps=values.number("attention.layer_norm_rms_epsilon"),
        hidden_activation="gelu_pytorch_tanh" if is_gemma3 else "silu",
        tie_word_embeddings=True,
        layer_types=layer_types,
        sliding_window=values.integer("attention.sliding_window") if has_sliding else None,
        attention_scale=_attention_scale(values, head_dim, num_hidden_layers, is_gemma3=is_gemma3),
        attn_logit_softcapping=_optional_number(values, "attn_logit_softcapping"),
        final_logit_softcapping=_optional_number(values, "final_logit_softcapping"),
        rope=_rope(values, yarn_betas_required=is_gemma3),
        local_rope=_local_rope(values) if has_sliding else None,
    )


def _vocab_size(values: ConfigValues, metadata: Mapping[str, object]) -> int:
    tokens = metadata.get("tokenizer.ggml.tokens")
    if values.has("vocab_size") or not isinstance(tokens, list):
        return values.integer("vocab_size")
    return len(cast("list[object]", tokens))


def _head_dim(values: ConfigValues) -> int:
    num_heads = max(values.integer("attention.head_count"), 1)
    head_dim = values.integer(
        "attention.key_length", values.integer("embedding_length") // num_heads
    )
    for key in ("attention.value_length", "rope.dimension_count"):
        if values.integer(key, head_dim) != head_dim:
            raise values.error(f"{key} differs from the head size {head_dim}: not supported")
    return head_dim


def _layer_types(
    values: ConfigValues, num_hidden_layers: int, *, is_gemma3: bool
) -> tuple[LayerType, ...]:
    """Rnj-1 has no sliding window, which makes every layer a full one."""
    if not is_gemma3 or not values.integer("attention.sliding_window", 0):
        return sliding_pattern(1, num_hidden_layers)
    pattern = values.integer("attention.sliding_window_pattern", GEMMA3_SLIDING_PATTERN)
    return sliding_pattern(pattern, num_hidden_layers)


def _attention_scale(
    values: ConfigValues, head_dim: int, num_hidden_layers: int, *, is_gemma3: bool
) -> float:
    if values.has("attention.scale"):
        return values.number("attention.scale")
    if is_gemma3 and num_hidden_layers == GEMMA3_27B_NUM_LAYERS:
        # the 27B model alone scales by hidden_size / heads, which GGUF does not write down
        head_dim = values.integer("embedding_length") // max(
            values.integer("attention.head_count"), 1
        )
    return max(head_dim, 1) ** -0.5


def _optional_number(values: ConfigValues, key: str) -> float | None:
    return values.number(key) if values.has(key) else None


def _rope(values: ConfigValues, *, yarn_betas_required: bool) -> RopeConfig:
    rope_theta = values.number("rope.freq_base")
    match values.text("rope.scaling.type", _implied_scaling(values)):
        case "none":
            return RopeConfig(rope_theta=rope_theta)
        case "linear":
            return RopeConfig(
                rope_theta=rope_theta, rope_type="linear", factor=_scaling_factor(values)
            )
        case "yarn":
            return _yarn(values, rope_theta, yarn_betas_required)
        case other:
            raise values.error(f"rope.scaling.type {other!r} is not supported")


def _implied_scaling(values: ConfigValues) -> str:
    return "linear" if values.has("rope.scale_linear") else "none"


def _scaling_factor(values: ConfigValues) -> float:
    key = "rope.scaling.factor" if values.has("rope.scaling.factor") else "rope.scale_linear"
    return values.number(key)


def _yarn(values: ConfigValues, rope_theta: float, betas_required: bool) -> RopeConfig:
    factor = values.number("rope.scaling.factor")
    key = "rope.scaling.yarn_attn_factor"
    attn_factor = values.number(key, values.number("rope.scaling.attn_factor", 1.0))
    return RopeConfig(
        rope_theta=rope_theta,
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=values.integer("rope.scaling.original_context_length"),
        attention_factor=attn_factor * yarn_magnitude(factor),
        beta_fast=values.number(
            "rope.scaling.yarn_beta_fast", None if betas_required else YARN_BETA_FAST
        ),
        beta_slow=values.number(
            "rope.scaling.yarn_beta_slow", None if betas_required else YARN_BETA_SLOW
        ),
    )


def _local_rope(values: ConfigValues) -> RopeConfig:
    """Sliding layers of Gemma 3 keep their short context: no scaling."""
    return RopeConfig(rope_theta=values.number("rope.freq_base_swa", GEMMA3_LOCAL_ROPE_THETA))
