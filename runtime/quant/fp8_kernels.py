"""The steps around FP8 products behind one protocol: kernels where they run, else plain PyTorch.

M rows (tokens), N output features, K input features.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.layers.activation import activate
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.quant.fp8 import Fp8Rows, Fp8Weight, dequantize_rows, quantize_tokens
from rnj_agent.runtime.quant.fp8_plan import Fp8Plan
from rnj_agent.runtime.quant.scaled_product import (
    dequantised_product,
    has_scaled_product,
    scaled_product,
)

logger = logging.getLogger(__name__)

FP8_CAPABILITY = (8, 9)
"""Of cards that multiply FP8."""


class Fp8Kernels(Protocol):
    """All matrices are contiguous."""

    def quantize(self, x: Tensor) -> Fp8Rows:
        """``quantize_tokens``: [M, K]."""
        ...

    def add_norm_quantize(
        self, x: Tensor, update: Update | None, norm: RMSNorm
    ) -> tuple[Tensor, Fp8Rows]:
        """The updated residual stream, and its norm."""
        ...

    def gate_quantize(self, gate_up: Tensor, activation: Activation) -> Fp8Rows:
        """activation(gate) * up of [M, 2 K], gate's columns first."""
        ...

    def product(
        self, rows: Fp8Rows, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        """W8A8: bfloat16 [M, N]."""
        ...

    def quantized_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        """The same, of rows that are not quantised yet."""
        ...

    def weight_only_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        """W8A16: [M, N] in the dtype of ``x``."""
        ...


class PlainFp8Kernels:
    """Torch's own operations: the twin of every kernel, and what a GPU without Triton gets."""

    def quantize(self, x: Tensor) -> Fp8Rows:
        return quantize_tokens(x)

    def add_norm_quantize(
        self, x: Tensor, update: Update | None, norm: RMSNorm
    ) -> tuple[Tensor, Fp8Rows]:
        x = x if update is None else update.added_to(x)
        return x, quantize_tokens(norm(x))

    def gate_quantize(self, gate_up: Tensor, activation: Activation) -> Fp8Rows:
        gate, up = gate_up.chunk(2, dim=-1)
        return quantize_tokens(activate(gate, activation) * up)

    def product(
        self, rows: Fp8Rows, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        if not rows.data.is_cuda:
            y = linear(rows.data.float(), weight.data.float()) * rows.scale * weight.scale
            return (y if bias is None else y + bias.float()).bfloat16()
        if has_scaled_product(weight):
            return scaled_product(rows, weight, bias, use_fast_accum=plan.use_fast_accum)
        return dequantised_product(dequantize_rows(rows, torch.bfloat16), weight, bias)

    def quantized_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        return self.product(self.quantize(x), weight, bias, plan)

    def weight_only_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        return dequantised_product(x, weight, bias)


@cache
def fp8_kernels(device: torch.device) -> Fp8Kernels:
    """The fastest that run there."""
    if device.type != "cuda":
        return PlainFp8Kernels()
    if importlib.util.find_spec("triton") is None:
        logger.warning("Triton is not installed: FP8 runs without its fused kernels, far slower.")
        return PlainFp8Kernels()
    from rnj_agent.runtime.kernels.gpu.triton_fp8 import TritonFp8Kernels

    return TritonFp8Kernels(overlap=torch.cuda.get_device_capability(device) >= (9, 0))
