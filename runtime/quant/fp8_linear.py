"""FP8 weights on a GPU: activations quantised per token (W8A8), or as they are on older cards.

Covered: compute capability 8.9 and later, W8A8, few rows in a kernel of our own, many through
``torch._scaled_mm``; below, W8A16; any device, in plain PyTorch, for tests.
Not covered: speed on a CPU (``fp8_cpu.py``).

A row's result is the same, bit for bit, whatever the number of rows beside it, from 1 to
``plan.skinny_rows`` in all; beyond that torch chooses by their number how to sum.

T rows (tokens), N output features, K input features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, Fp8Weight
from rnj_agent.runtime.quant.fp8_kernels import FP8_CAPABILITY, Fp8Kernels, fp8_kernels
from rnj_agent.runtime.quant.fp8_plan import Fp8Plan, card_of, default_plan


class Fp8Linear:
    """y = x @ (weight * weight_scale).T + bias.

    Args:
        weight: float8_e4m3fn [N, K], row-major, without NaN.
        weight_scale: float32 [N].
        bias: [N].
        quantize_activations: None: if the card multiplies FP8.
        kernels: None: ``fp8_kernels`` of the weight's device.

    Attributes:
        plan: how products are computed; may be replaced by what was measured.
    """

    def __init__(
        self,
        weight: Tensor,
        weight_scale: Tensor,
        bias: Tensor | None = None,
        *,
        quantize_activations: bool | None = None,
        kernels: Fp8Kernels | None = None,
    ) -> None:
        assert weight.dtype == FP8_DTYPE
        assert weight.is_contiguous()
        assert weight_scale.dtype == torch.float32
        assert weight_scale.shape == weight.shape[:1]
        card = card_of(weight.device)
        if quantize_activations is None:
            quantize_activations = card.capability >= FP8_CAPABILITY
        self.weight = weight
        self.weight_scale = weight_scale.contiguous()
        self.bias = bias
        self.quantize_activations = quantize_activations
        self.kernels = kernels or fp8_kernels(weight.device)
        self.plan: Fp8Plan = default_plan(weight.shape[0], weight.shape[1], card)

    def __call__(self, x: Tensor) -> Tensor:
        """bfloat16 [T, K] to the same [T, N]."""
        x = x.contiguous()
        if self.quantize_activations:
            return self.kernels.quantized_product(x, self._rows, self.bias, self.plan)
        return self.kernels.weight_only_product(x, self._rows, self.bias, self.plan)

    def after_norm(self, x: Tensor, update: Update | None, norm: RMSNorm) -> tuple[Tensor, Tensor]:
        """The updated residual stream, and the product with its norm: [T, K] and [T, N]."""
        x, rows = self.kernels.add_norm_quantize(x, update, norm)
        return x, self.kernels.product(rows, self._rows, self.bias, self.plan)

    def after_gate(self, gate_up: Tensor, activation: Activation) -> Tensor:
        """The product with activation(gate) * up: [T, 2 K] to [T, N]."""
        rows = self.kernels.gate_quantize(gate_up, activation)
        return self.kernels.product(rows, self._rows, self.bias, self.plan)

    @property
    def size_bytes(self) -> int:
        return self.weight.nbytes + self.weight_scale.nbytes

    @property
    def _rows(self) -> Fp8Weight:
        return Fp8Weight(self.weight, self.weight_scale)
