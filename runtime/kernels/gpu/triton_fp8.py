"""FP8's steps in Triton: see ``quant/fp8_kernels.py`` for what they are."""

from __future__ import annotations

from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.kernels.gpu.fused_norms import add_norm_quantize
from rnj_agent.runtime.kernels.gpu.gated_activation import gate_quantize
from rnj_agent.runtime.kernels.gpu.quantize_tokens import quantize_tokens
from rnj_agent.runtime.kernels.gpu.skinny_product import Activations, Weight, skinny_product
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.quant.fp8 import Fp8Rows, Fp8Weight
from rnj_agent.runtime.quant.fp8_kernels import PlainFp8Kernels
from rnj_agent.runtime.quant.fp8_plan import Fp8Plan


class TritonFp8Kernels:
    """Implements ``Fp8Kernels``.

    Args:
        overlap: start each kernel while the one before it runs, and fetch its weights meanwhile:
            compute capability 9.0 and later.
    """

    def __init__(self, *, overlap: bool) -> None:
        self.overlap = overlap
        self._plain = PlainFp8Kernels()

    def quantize(self, x: Tensor) -> Fp8Rows:
        return quantize_tokens(x, overlap=self.overlap)

    def add_norm_quantize(
        self, x: Tensor, update: Update | None, norm: RMSNorm
    ) -> tuple[Tensor, Fp8Rows]:
        return add_norm_quantize(x, update, norm, overlap=self.overlap)

    def gate_quantize(self, gate_up: Tensor, activation: Activation) -> Fp8Rows:
        return gate_quantize(gate_up, activation, overlap=self.overlap)

    def product(
        self, rows: Fp8Rows, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        if not 0 < len(rows.data) <= plan.skinny_rows:
            return self._plain.product(rows, weight, bias, plan)
        return self._skinny(Activations(*rows), weight, bias, plan)

    def quantized_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        if not 0 < len(x) <= plan.fused_rows:
            return self.product(self.quantize(x), weight, bias, plan)
        return self._skinny(Activations(x, None, quantize=True), weight, bias, plan)

    def weight_only_product(
        self, x: Tensor, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        if not 0 < len(x) <= plan.skinny_rows:
            return self._plain.weight_only_product(x, weight, bias, plan)
        return self._skinny(Activations(x, None), weight, bias, plan)

    def _skinny(
        self, x: Activations, weight: Fp8Weight, bias: Tensor | None, plan: Fp8Plan
    ) -> Tensor:
        return skinny_product(
            x,
            Weight(*weight, bias),
            plan.skinny(len(x.rows)),
            overlap=self.overlap,
        )
