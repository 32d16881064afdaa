"""The gated feed-forward layer."""

from __future__ import annotations

from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.layers.activation import activate
from rnj_agent.runtime.layers.cpu_rows import row_kernels
from rnj_agent.runtime.layers.linear import Linear
from rnj_agent.runtime.quant.fp8_linear import Fp8Linear


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
        down_proj = self.down_proj
        if isinstance(down_proj, Fp8Linear) and down_proj.quantize_activations:
            return down_proj.after_gate(gate_up, self.activation)
        if rows := row_kernels(gate_up):
            return down_proj(rows.gate(gate_up, self.activation))
        gate, up = gate_up.chunk(2, dim=-1)
        return down_proj(activate(gate, self.activation) * up)
