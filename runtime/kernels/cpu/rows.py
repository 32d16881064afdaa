"""The small operations between products, on rows of a pass, in C (``norms.c``, ``gated.c``).

Covered: bfloat16. Not covered: float32, where every operation is PyTorch's.

T rows.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.threads import pass_threads
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update


class _Stream(ctypes.Structure):
    """``stream`` of norms.c."""

    _fields_ = (
        ("x", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
        ("y_weight", ctypes.c_void_p),
        ("weight", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("num_rows", ctypes.c_int32),
        ("size", ctypes.c_int32),
        ("y_eps", ctypes.c_float),
        ("eps", ctypes.c_float),
    )


class RowKernels:
    """Args:
    kernels: compiled.
    """

    def __init__(self, kernels: Kernels) -> None:
        self._add_norm = kernels.function("rnj_add_norm", ctypes.c_void_p, ctypes.c_int)
        pointers, numbers = (ctypes.c_void_p,) * 2, (ctypes.c_int,) * 4
        self._gate = kernels.function("rnj_gate", *pointers, *numbers)

    def add_norm(self, x: Tensor, update: Update | None, norm: RMSNorm) -> Tensor:
        """Let x be x + update, in place; returns norm(x).

        Args:
            x: bfloat16 [T, size].
            update: likewise; None: nothing.
            norm: of what x is then.
        """
        _check(x)
        out = torch.empty_like(x)
        num_rows, size = x.shape
        assert norm.weight.shape == (size,)
        stream = _Stream(
            x=x.data_ptr(),
            weight=norm.weight.data_ptr(),
            out=out.data_ptr(),
            num_rows=num_rows,
            size=size,
            eps=norm.eps,
        )
        if update is not None:
            _check(update.y)
            assert update.y.shape == x.shape
            stream.y = update.y.data_ptr()
            if update.norm is not None:
                assert update.norm.weight.shape == (size,)
                stream.y_weight = update.norm.weight.data_ptr()
                stream.y_eps = update.norm.eps
        self._add_norm(ctypes.addressof(stream), pass_threads(num_rows))
        return out

    def gate(self, gate_up: Tensor, activation: Activation) -> Tensor:
        """activation(gate) * up.

        Args:
            gate_up: bfloat16 [T, 2 * size].
            activation: of the first half.

        Returns:
            bfloat16 [T, size].
        """
        _check(gate_up)
        num_rows, size = gate_up.shape[0], gate_up.shape[1] // 2
        out = torch.empty((num_rows, size), dtype=torch.bfloat16)
        is_gelu = activation == "gelu_pytorch_tanh"
        self._gate(
            gate_up.data_ptr(), out.data_ptr(), num_rows, size, is_gelu, pass_threads(num_rows)
        )
        return out


def _check(x: Tensor) -> None:
    assert x.dtype == torch.bfloat16
    assert x.is_cpu
    assert x.is_contiguous()
    assert x.ndim == 2
