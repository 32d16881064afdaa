"""From a checkpoint to a model in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rnj_agent.runtime.layers.linear import DenseLinear, Linear
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.weight_reader import WeightReader
from rnj_agent.runtime.quant.int8 import Int8Linear, WideningBuffer, quantize_int8
from rnj_agent.runtime.weights.checkpoint import Checkpoint

Quant: TypeAlias = Literal["none", "int8"]


def load_model(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    quant: Quant | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CausalLM:
    """Read all weights. The checkpoint may be closed afterwards.

    Args:
        checkpoint: from ``open_checkpoint``.
        dtype: of weights and activations; None: ``default_dtype``.
        device: "cpu", or a CUDA device.
        quant: how projections and the head are held; None: ``default_quant``.
        progress: called with tensors read and tensors in all.

    Raises:
        CheckpointError: tensors are missing, of a wrong shape, unreadable or unknown.
    """
    dtype = dtype or default_dtype(device)
    quant = quant or default_quant(checkpoint, dtype, device)
    reader = WeightReader(
        checkpoint,
        dtype=dtype,
        device=device,
        make_linear=partial(_int8_linear, WideningBuffer()) if quant == "int8" else DenseLinear,
        progress=progress,
    )
    model = CausalLM(reader)
    reader.finish()
    return model


def default_dtype(device: str) -> torch.dtype:
    """bfloat16 wherever it is fast: on GPUs, and on CPUs with AVX512-BF16 or AMX."""
    if not device.startswith("cpu"):
        return torch.bfloat16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def default_quant(checkpoint: Checkpoint, dtype: torch.dtype, device: str) -> Quant:
    """int8 for weights that were quantised already: its error is far below theirs."""
    is_covered = device.startswith("cpu") and dtype == torch.bfloat16
    return "int8" if is_covered and checkpoint.is_quantized else "none"


def _int8_linear(buffer: WideningBuffer, weight: Tensor, bias: Tensor | None) -> Linear:
    return Int8Linear(*quantize_int8(weight), buffer, bias)
