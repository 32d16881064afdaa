"""Activation functions, by the names that configs have for them."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor
from torch.nn import functional

from rnj_agent.runtime.config import Activation


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Elementwise."""
    match activation:
        case "silu":
            return functional.silu(x)
        case "gelu_pytorch_tanh":
            return functional.gelu(x, approximate="tanh")
        case _:
            assert_never(activation)
