"""From a checkpoint to a model in memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.weight_reader import WeightReader
from rnj_agent.runtime.weights.checkpoint import Checkpoint


def load_model(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> CausalLM:
    """Read all weights. The checkpoint may be closed afterwards.

    Args:
        checkpoint: from ``open_checkpoint``.
        dtype: of weights and activations; None: ``default_dtype``.
        device: "cpu", or a CUDA device.
        progress: called with tensors read and tensors in all.

    Raises:
        CheckpointError: tensors are missing, of a wrong shape, unreadable or unknown.
    """
    reader = WeightReader(
        checkpoint, dtype=dtype or default_dtype(device), device=device, progress=progress
    )
    model = CausalLM(reader)
    reader.finish()
    return model


def default_dtype(device: str) -> torch.dtype:
    """bfloat16 wherever it is fast: on GPUs, and on CPUs with AVX512-BF16 or AMX."""
    if not device.startswith("cpu"):
        return torch.bfloat16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32
