"""Root mean square normalisation."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class RMSNorm:
    """x / rms(x) * weight over the last dimension, in float32 whatever the dtype of ``x``.

    Args:
        weight: the multiplier, float32 [size]. Gemma's "1 + w" was added when it was loaded.
        eps: added to the mean square.
    """

    def __init__(self, weight: Tensor, eps: float) -> None:
        self.weight = weight
        self.eps = eps

    def __call__(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x.float(), self.weight.shape, self.weight, self.eps).to(x.dtype)


class Update(NamedTuple):
    """What a layer adds to the residual stream: norm(y), or y."""

    y: Tensor
    norm: RMSNorm | None

    def added_to(self, x: Tensor) -> Tensor:
        return x + (self.norm(self.y) if self.norm else self.y)
