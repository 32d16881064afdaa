"""Rotary parameters of ``config.json``: three spellings, one ``RopeConfig``.

transformers 4: ``rope_theta`` and ``rope_scaling`` (``rope_local_base_freq`` for sliding layers).
transformers 5: ``rope_parameters``, flat or keyed by layer type.

The rules are those of transformers' ``modeling_rope_utils.py``. Rnj-1's ``rope_scaling`` also has
``attn_factor`` and ``extrapolation_factor``: transformers does not read them, so neither does this.
"""

from __future__ import annotations

import math

from rnj_agent.runtime.config import LayerType, RopeConfig
from rnj_agent.runtime.weights.config_values import ConfigValues

YARN_BETA_FAST = 32.0
YARN_BETA_SLOW = 1.0


def full_attention_rope(values: ConfigValues, *, yarn_betas_required: bool) -> RopeConfig:
    """The rope of full-attention layers.

    Args:
        values: the whole config.
        yarn_betas_required: whether YaRN without beta_fast and beta_slow is an error; else the
            paper's 32 and 1 stand in, as in transformers.
    """
    parameters = _parameters(values, "full_attention")
    if parameters is None:
        return _rope(_scaling(values), values.number("rope_theta"), yarn_betas_required)
    source = parameters if parameters.has("rope_theta") else values
    return _rope(parameters, source.number("rope_theta"), yarn_betas_required)


def sliding_attention_rope(values: ConfigValues) -> RopeConfig:
    """The rope of sliding layers, which has no scaling unless the config says so."""
    parameters = _parameters(values, "sliding_attention")
    if parameters is None or not parameters.has("rope_theta"):
        return RopeConfig(rope_theta=values.number("rope_local_base_freq"))
    return _rope(parameters, parameters.number("rope_theta"), yarn_betas_required=True)


def _parameters(values: ConfigValues, layer_type: LayerType) -> ConfigValues | None:
    """The part of ``rope_parameters`` that speaks of a layer type; None: nothing does."""
    if not values.has("rope_parameters"):
        return None
    parameters = values.nested("rope_parameters")
    if parameters.has("full_attention") or parameters.has("sliding_attention"):
        return parameters.nested(layer_type)
    return parameters if layer_type == "full_attention" else None


def _scaling(values: ConfigValues) -> ConfigValues:
    if values.has("rope_scaling"):
        return values.nested("rope_scaling")
    return ConfigValues({"rope_type": "default"}, where="rope_scaling")


def _rope(values: ConfigValues, rope_theta: float, yarn_betas_required: bool) -> RopeConfig:
    if values.number("partial_rotary_factor", 1.0) != 1.0:
        raise values.error("partial_rotary_factor is not supported")
    rope_type = values.text("rope_type") if values.has("rope_type") else values.text("type")
    match rope_type:
        case "default":
            return RopeConfig(rope_theta=rope_theta)
        case "linear":
            return RopeConfig(
                rope_theta=rope_theta, rope_type="linear", factor=values.number("factor")
            )
        case "llama3":
            return _llama3(values, rope_theta)
        case "yarn":
            return _yarn(values, rope_theta, yarn_betas_required)
        case other:
            raise values.error(f"rope_type {other!r} is not supported")


def _llama3(values: ConfigValues, rope_theta: float) -> RopeConfig:
    return RopeConfig(
        rope_theta=rope_theta,
        rope_type="llama3",
        factor=values.number("factor"),
        original_max_position_embeddings=values.integer("original_max_position_embeddings"),
        low_freq_factor=values.number("low_freq_factor"),
        high_freq_factor=values.number("high_freq_factor"),
    )


def _yarn(values: ConfigValues, rope_theta: float, betas_required: bool) -> RopeConfig:
    factor = values.number("factor")
    return RopeConfig(
        rope_theta=rope_theta,
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=values.integer("original_max_position_embeddings"),
        attention_factor=_attention_factor(values, factor),
        beta_fast=values.number("beta_fast", None if betas_required else YARN_BETA_FAST),
        beta_slow=values.number("beta_slow", None if betas_required else YARN_BETA_SLOW),
        truncate=values.flag("truncate", default=True),
    )


def _attention_factor(values: ConfigValues, factor: float) -> float:
    """``attention_factor`` if given, else from ``mscale`` if given, else 0.1 ln(factor) + 1."""
    if values.has("attention_factor"):
        return values.number("attention_factor")
    if values.number("mscale", 0.0) and values.number("mscale_all_dim", 0.0):
        mscale, all_dim = values.number("mscale"), values.number("mscale_all_dim")
        return yarn_magnitude(factor, mscale) / yarn_magnitude(factor, all_dim)
    return yarn_magnitude(factor)


def yarn_magnitude(factor: float, mscale: float = 1.0) -> float:
    """The growth of q @ k that YaRN applies for a context stretched by ``factor``."""
    return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0
