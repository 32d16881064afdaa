"""``config.json`` of Hugging Face checkpoints, as transformers 4 and 5 write it.

Covered: gemma3_text (Gemma 3 and Rnj-1), llama, qwen2.
Not covered: the vision model around Gemma 3, mixtures of experts. What a config says of quantised
weights is another module's: ``compressed_tensors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from rnj_agent.runtime.config import (
    MAX_NUM_HIDDEN_LAYERS,
    Activation,
    LayerType,
    ModelConfig,
)
from rnj_agent.runtime.weights.config_values import ConfigValues
from rnj_agent.runtime.weights.hf_rope import full_attention_rope, sliding_attention_rope


def config_from_hf(config: Mapping[str, object], *, where: str = "config.json") -> ModelConfig:
    """The model that a parsed ``config.json`` describes.

    Raises:
        CheckpointError: an unsupported model, or a key that is missing or wrong.
    """
    values = ConfigValues(config, where=where)
    match values.text("model_type"):
        case "gemma3_text":
            return _gemma3(values)
        case "llama":
            return _llama(values)
        case "qwen2":
            return _qwen2(values)
        case other:
            raise values.error(
                f"model_type {other!r} is not supported, only gemma3_text (Rnj-1), llama and qwen2"
            )


def _gemma3(values: ConfigValues) -> ModelConfig:
    for unsupported in ("use_bidirectional_attention", "attention_bias"):
        if values.flag(unsupported, default=False):
            raise values.error(f"{unsupported} is not supported")
    num_hidden_layers = values.integer("num_hidden_layers", at_most=MAX_NUM_HIDDEN_LAYERS)
    layer_types = _gemma3_layer_types(values, num_hidden_layers)
    has_sliding = "sliding_attention" in layer_types
    return ModelConfig(
        architecture="gemma3",
        vocab_size=values.integer("vocab_size"),
        hidden_size=values.integer("hidden_size"),
        intermediate_size=values.integer("intermediate_size"),
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=values.integer("num_attention_heads"),
        num_key_value_heads=values.integer("num_key_value_heads"),
        head_dim=values.integer("head_dim"),
        max_position_embeddings=values.integer("max_position_embeddings"),
        rms_norm_eps=values.number("rms_norm_eps"),
        hidden_activation=_activation(values, "hidden_activation"),
        tie_word_embeddings=values.flag("tie_word_embeddings", default=True),
        layer_types=layer_types,
        sliding_window=values.integer("sliding_window") if has_sliding else None,
        attention_scale=_attention_scale(values),
        attn_logit_softcapping=values.number_or_null("attn_logit_softcapping"),
        final_logit_softcapping=values.number_or_null("final_logit_softcapping"),
        rope=full_attention_rope(values, yarn_betas_required=True),
        local_rope=sliding_attention_rope(values) if has_sliding else None,
    )


def _llama(values: ConfigValues) -> ModelConfig:
    for unsupported in ("attention_bias", "mlp_bias"):
        if values.flag(unsupported, default=False):
            raise values.error(f"{unsupported} is not supported")
    return _plain_decoder(values, "llama")


def _qwen2(values: ConfigValues) -> ModelConfig:
    if values.flag("use_sliding_window", default=False):
        raise values.error("use_sliding_window is not supported for qwen2")
    return _plain_decoder(values, "qwen2")


def _plain_decoder(values: ConfigValues, architecture: Literal["llama", "qwen2"]) -> ModelConfig:
    num_hidden_layers = values.integer("num_hidden_layers", at_most=MAX_NUM_HIDDEN_LAYERS)
    num_attention_heads = values.integer("num_attention_heads")
    hidden_size = values.integer("hidden_size")
    head_dim = values.integer("head_dim", hidden_size // max(num_attention_heads, 1))
    return ModelConfig(
        architecture=architecture,
        vocab_size=values.integer("vocab_size"),
        hidden_size=hidden_size,
        intermediate_size=values.integer("intermediate_size"),
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        num_key_value_heads=values.integer("num_key_value_heads", num_attention_heads),
        head_dim=head_dim,
        max_position_embeddings=values.integer("max_position_embeddings"),
        rms_norm_eps=values.number("rms_norm_eps"),
        hidden_activation=_activation(values, "hidden_act"),
        tie_word_embeddings=values.flag("tie_word_embeddings", default=False),
        layer_types=("full_attention",) * num_hidden_layers,
        sliding_window=None,
        attention_scale=max(head_dim, 1) ** -0.5,
        attn_logit_softcapping=None,
        final_logit_softcapping=None,
        rope=full_attention_rope(values, yarn_betas_required=False),
        local_rope=None,
    )


def _gemma3_layer_types(values: ConfigValues, num_hidden_layers: int) -> tuple[LayerType, ...]:
    """``layer_types``, or the older ``sliding_window_pattern``: each n-th layer sees everything."""
    if values.has("layer_types"):
        layer_types = values.texts("layer_types")
        for layer_type in layer_types:
            if layer_type not in {"full_attention", "sliding_attention"}:
                raise values.error(f"layer type {layer_type!r} is not supported")
        return cast("tuple[LayerType, ...]", tuple(layer_types))
    if not values.has("sliding_window_pattern"):
        raise values.error("neither layer_types nor sliding_window_pattern is given")
    return sliding_pattern(values.integer("sliding_window_pattern"), num_hidden_layers)


def sliding_pattern(pattern: int, num_hidden_layers: int) -> tuple[LayerType, ...]:
    """Every ``pattern``-th layer is a full one; 0 and 1 make all of them full."""
    return tuple(
        "sliding_attention" if pattern > 1 and (i + 1) % pattern else "full_attention"
        for i in range(num_hidden_layers)
    )


def _attention_scale(values: ConfigValues) -> float:
    scalar = values.number("query_pre_attn_scalar")
    if scalar <= 0:
        raise values.error(f"query_pre_attn_scalar is {scalar}")
    return scalar**-0.5


def _activation(values: ConfigValues, key: str) -> Activation:
    match values.text(key):
        case "silu" | "gelu_pytorch_tanh" as activation:
            return activation
        case other:
            raise values.error(f"{key} {other!r} is not supported")
