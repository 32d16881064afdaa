"""Matrix products with weights. The format of a weight hides behind ``Linear``."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional


class Linear(Protocol):
    """y = x @ weight.T + bias."""

    def __call__(self, x: Tensor) -> Tensor:
        """[T, in_features] to [T, out_features], in the dtype of ``x``."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of the weight as stored: what a decode step must read."""
        ...


class DenseLinear:
    """Weights in floating point: [out_features, in_features], of the activations' dtype."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)

    @property
    def size_bytes(self) -> int:
        return self.weight.nbytes
