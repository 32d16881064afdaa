"""The residual stream: what decoder layers read, normalised, and add to.

T new tokens.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from rnj_agent.runtime.layers.layernorm import RMSNorm
from rnj_agent.runtime.layers.linear import Linear


class Update(NamedTuple):
    """What a layer adds: norm(y), or y."""

    y: Tensor
    norm: RMSNorm | None


class ResidualStream:
    """One pass's hidden state.

    An update waits until the stream is read again, so that a kernel can add, normalise and
    quantise while it holds the rows.

    Args:
        x: the embedded tokens, [T, hidden].
    """

    def __init__(self, x: Tensor) -> None:
        self._x = x
        self._update: Update | None = None

    def add(self, y: Tensor, norm: RMSNorm | None = None) -> None:
        """Let norm(y) come to x.

        Args:
            y: [T, hidden].
            norm: None: y itself.
        """
        self._x = self.value()
        self._update = Update(y, norm)

    def project(self, norm: RMSNorm, linear: Linear) -> Tensor:
        """linear(norm(x)), [T, out_features]."""
        return linear(norm(self.value()))

    def value(self) -> Tensor:
        """The sum with all updates, [T, hidden]."""
        if self._update is not None:
            y, norm = self._update
            self._x = self._x + (norm(y) if norm else y)
            self._update = None
        return self._x
