"""The residual stream: what decoder layers read, normalised, and add to.

T new tokens.
"""

from __future__ import annotations

from torch import Tensor

from rnj_agent.runtime.layers.cpu_rows import row_kernels
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear


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
        if isinstance(linear, Fp8Linear) and linear.quantize_activations:
            self._x, y = linear.after_norm(self._x, self._take(), norm)
            return y
        if rows := row_kernels(self._x):
            return linear(rows.add_norm(self._x, self._take(), norm))
        return linear(norm(self.value()))

    def value(self) -> Tensor:
        """The sum with all updates, [T, hidden]."""
        update = self._take()
        if update is not None:
            self._x = update.added_to(self._x)
        return self._x

    def _take(self) -> Update | None:
        """What is still to be added, which the caller does."""
        update, self._update = self._update, None
        return update
