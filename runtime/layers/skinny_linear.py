"""Plain 16-bit weights on a GPU: few rows in a kernel of our own, many through cuBLAS.

Covered: bfloat16 on CUDA with Triton; everything else is ``DenseLinear``.
Not covered: float16.

The kernel is for one promise more than for speed: up to ``MAX_SKINNY_ROWS`` rows, each has the
same result, bit for bit, whatever their number. cuBLAS chooses how to sum by it, and a guess could
then be judged by other logits than decoding one token gives.

T rows (tokens), N output features, K input features.
"""

from __future__ import annotations

import importlib.util
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnj_agent.runtime.quant.fp8_plan import MAX_SKINNY_ROWS, SkinnyConfig, card_of, default_config


class SkinnyLinear:
    """y = x @ weight.T + bias.

    Args:
        weight: [N, K].
        bias: [N].

    Attributes:
        config: of products of few rows; None: they go where all others go.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias
        self.config: SkinnyConfig | None = None
        self._overlap = False
        if weight.is_cuda and weight.dtype == torch.bfloat16 and _has_triton():
            card = card_of(weight.device)
            self._overlap = card.capability >= (9, 0)
            self.config = default_config(
                weight.shape[0], weight.shape[1], card, element_bytes=weight.itemsize
            )

    def __call__(self, x: Tensor) -> Tensor:
        """[T, K] to [T, N]."""
        if self.config is None or not 0 < len(x) <= MAX_SKINNY_ROWS:
            return linear(x, self.weight, self.bias)
        from rnj_agent.runtime.kernels.gpu.skinny_product import Activations, Weight, skinny_product

        rows = Activations(x.contiguous(), None)
        weight = Weight(self.weight, None, self.bias)
        return skinny_product(rows, weight, self.config, overlap=self._overlap)

    @property
    def size_bytes(self) -> int:
        return self.weight.nbytes


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
