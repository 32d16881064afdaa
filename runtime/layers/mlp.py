"""The gated feed-forward layer."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor
from torch.nn import functional

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.layers.linear import Linear


class GatedMLP:
    """down(activation(gate(x)) * up(x)).

    Args:
        gate_up_proj: both projections as one, gate's rows first; the decoder layer applies it.
        down_proj: back to the hidden size.
        activation: of the gate.
    """

    def __init__(self, gate_up_proj: Linear, down_proj: Linear, activation: Activation) -> None:
        self.gate_up_proj = gate_up_proj
        self.down_proj = down_proj
        self.activation: Activation = activation

    def __call__(self, gate_up: Tensor) -> Tensor:
        """[T, 2 * intermediate], what ``gate_up_proj`` made of x, to [T, hidden]."""
        gate, up = gate_up.chunk(2, dim=-1)
        return self.down_proj(activate(gate, self.activation) * up)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Elementwise."""
    match activation:
        case "silu":
            return functional.silu(x)
        case "gelu_pytorch_tanh":
            return functional.gelu(x, approximate="tanh")
        case _:
            assert_never(activation)
