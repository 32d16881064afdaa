"""The FP8_DYNAMIC scheme of compressed-tensors: what becomes of a weight, and of the config.

Weights are e4m3 with one static scale for each output channel; activations are quantised per token
at run time, so nothing of them is stored. The arithmetic is that of compressed-tensors, which vLLM
and transformers load, bit for bit: https://github.com/vllm-project/compressed-tensors (0.20:
``quantization/utils/helpers.py``: calculate_qparams, ``lifecycle/forward_helpers.py``: _quantize).

Covered: the projections of the decoder layers. Not covered: embeddings, norms and the head, which
stay as they are; calibration; quantised KV caches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rnj_agent.runtime.config import ModelConfig
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, FP8_MAX
from rnj_agent.runtime.quant.pieces import PIECE_WEIGHTS, run_pieces, slices

SCHEME = "fp8-dynamic"
SCALE_DTYPE = torch.bfloat16
ZERO_ROW_SCALE = torch.finfo(SCALE_DTYPE).eps
"""Of a row without any weight: anything but zero will do, and this is what others write."""
IGNORE = ("lm_head",)


class Fp8Channels(NamedTuple):
    """weight = data * scale."""

    data: Tensor
    """float8_e4m3fn [out, in]."""
    scale: Tensor
    """bfloat16 [out, 1]."""


def quantize_channels(weight: Tensor) -> Fp8Channels:
    """Quantise rows of a weight; each row is on its own.

    The weight is divided by the scale as it is stored, already rounded, and a bfloat16 quotient is
    rounded to bfloat16 before it is rounded to FP8: as everyone else's files have it. Where a row
    has NaN or infinities, its scale is not finite.

    Args:
        weight: floating point [out, in].
    """
    num_rows, num_columns = weight.shape
    data = torch.empty(weight.shape, dtype=FP8_DTYPE)
    scale = torch.empty((num_rows, 1), dtype=SCALE_DTYPE)

    def quantize(rows: slice) -> None:
        part = weight[rows]
        amax = torch.maximum(part.amax(1, keepdim=True), -part.amin(1, keepdim=True))
        scale[rows] = amax.float() / FP8_MAX
        scale[rows][scale[rows] == 0] = ZERO_ROW_SCALE
        data[rows] = (part / scale[rows]).clamp_(-FP8_MAX, FP8_MAX).to(FP8_DTYPE)

    run_pieces(quantize, slices(num_rows, max(1, PIECE_WEIGHTS // num_columns)))
    return Fp8Channels(data, scale)


def fp8_dynamic_config() -> dict[str, object]:
    """``quantization_config`` of config.json, as compressed-tensors serialises it."""
    shared = {"num_bits": 8, "type": "float", "symmetric": True, "group_size": None}
    group = {
        "targets": ["Linear"],
        "weights": {**shared, "strategy": "channel", "dynamic": False},
        "input_activations": {**shared, "strategy": "token", "dynamic": True},
        "output_activations": None,
        "format": "float-quantized",
    }
    return {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": list(IGNORE),
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }


def linear_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """[out, in] of every weight that is quantised, by name."""
    hidden, ffn = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    layer = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }
    return {
        f"model.layers.{index}.{name}.weight": shape
        for index in range(config.num_hidden_layers)
        for name, shape in layer.items()
    }
