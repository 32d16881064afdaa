"""All decoder layers of a pass with few rows in one call of C (``layers.c``).

Python's part of a layer takes longer than the small models' products do, and between two calls
another thread may hold the interpreter.

Covered: bfloat16, layers whose four projections are packed weights.
Not covered: passes with prompts, caches in 8 bits.

T rows, H query heads, K key/value heads, D head size.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from rnj_agent.runtime.config import Activation
from rnj_agent.runtime.kernels.cpu.attention import RowsAttention
from rnj_agent.runtime.kernels.cpu.cache_slots import slots_argument
from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.products import PackedWeight
from rnj_agent.runtime.kernels.cpu.threads import pass_threads
from rnj_agent.runtime.layers.layernorm import RMSNorm, Update
from rnj_agent.runtime.layers.rotary_embedding import Rotation

MAX_TYPES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerParts:
    """Of one layer. Norms that are None are not there."""

    qkv: PackedWeight
    o: PackedWeight
    gate_up: PackedWeight
    down: PackedWeight
    input_norm: RMSNorm
    after_attention: RMSNorm | None
    before_mlp: RMSNorm
    after_mlp: RMSNorm | None
    q_norm: RMSNorm | None
    k_norm: RMSNorm | None
    keys: Tensor
    """Of the cache, bfloat16 [K, S, D]."""
    values: Tensor
    layer_type: int
    """Which of the pass's ``TypeOfLayers``."""
    activation: Activation


class TypeOfLayers(NamedTuple):
    """What layers of a type share in a pass."""

    attention: RowsAttention
    rotation: Rotation


class _Norm(ctypes.Structure):
    _fields_ = (("weight", ctypes.c_void_p), ("eps", ctypes.c_float))


_PRODUCTS: Final = ("qkv", "o", "gate_up", "down")
_NORMS: Final = ("input_norm", "after_attention", "before_mlp", "after_mlp", "q_norm", "k_norm")


class _Layer(ctypes.Structure):
    """``layer`` of layers.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in _PRODUCTS),
        *((name, _Norm) for name in _NORMS),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("is_gelu", ctypes.c_int32),
    )


class _Pass(ctypes.Structure):
    """``pass`` of layers.c."""

    _fields_ = (
        ("x", ctypes.c_void_p),
        ("update", ctypes.c_void_p),
        ("normed", ctypes.c_void_p),
        ("attended", ctypes.c_void_p),
        ("qkv", ctypes.c_void_p),
        ("gate_up", ctypes.c_void_p),
        ("gated", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("attention", ctypes.c_void_p * MAX_TYPES),
        ("cos", ctypes.c_void_p * MAX_TYPES),
        ("sin", ctypes.c_void_p * MAX_TYPES),
        ("slots", ctypes.c_void_p),
        ("first_slot", ctypes.c_int64),
        ("num_rows", ctypes.c_int32),
        ("hidden_size", ctypes.c_int32),
        ("intermediate_size", ctypes.c_int32),
    )


class LayerStack:
    """All layers of a model, with the cache they write.

    Args:
        kernels: compiled.
        layers: of one size.
    """

    def __init__(self, kernels: Kernels, layers: Sequence[LayerParts]) -> None:
        self._layers = tuple(layers)  # the records have only addresses
        self._records = (_Layer * len(layers))(*(_record(parts) for parts in layers))
        self._run = kernels.function(
            "rnj_run_layers", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int
        )

    def __call__(self, x: Tensor, types: Sequence[TypeOfLayers], slots: Tensor | slice) -> Update:
        """Run the layers on x, in place; returns what is still to be added to it.

        Args:
            x: bfloat16 [T, hidden].
            types: at most two, each for T rows.
            slots: where the rows go in the cache: int64 [T], or a slice of T slots.
        """
        first = self._layers[0]
        num_rows, hidden_size = x.shape
        assert x.dtype == torch.bfloat16
        assert x.is_contiguous()
        assert hidden_size == first.qkv.in_features == first.down.out_features
        buffers = {
            name: torch.empty((num_rows, size), dtype=torch.bfloat16)
            for name, size in (
                ("update", hidden_size),
                ("normed", hidden_size),
                ("attended", first.o.in_features),
                ("qkv", first.qkv.out_features),
                ("gate_up", first.gate_up.out_features),
                ("gated", first.down.in_features),
            )
        }
        products = (first.qkv, first.o, first.gate_up, first.down)
        workspace_bytes = max(weight.workspace_bytes(num_rows) for weight in products)
        workspace = torch.empty(workspace_bytes, dtype=torch.uint8)
        call = _Pass(
            x=x.data_ptr(),
            workspace=workspace.data_ptr(),
            num_rows=num_rows,
            hidden_size=hidden_size,
            intermediate_size=first.down.in_features,
            **{name: buffer.data_ptr() for name, buffer in buffers.items()},
        )
        _place(call, types, slots, num_rows, first.keys.shape[1])
        self._run(ctypes.addressof(call), self._records, len(self._layers), pass_threads(num_rows))
        return Update(buffers["update"], self._layers[-1].after_mlp)


def _place(
    call: _Pass,
    types: Sequence[TypeOfLayers],
    slots: Tensor | slice,
    num_rows: int,
    num_slots: int,
) -> None:
    assert 0 < len(types) <= MAX_TYPES
    for index, (attention, (cos, sin)) in enumerate(types):
        for angles in (cos, sin):
            assert angles.dtype == torch.float32
            assert angles.is_contiguous()
            assert angles.shape[0] == num_rows
        call.attention[index] = attention.address
        call.cos[index], call.sin[index] = cos.data_ptr(), sin.data_ptr()
    call.first_slot, call.slots = slots_argument(slots, num_rows=num_rows, num_slots=num_slots)


def _record(parts: LayerParts) -> _Layer:
    record = _Layer(
        keys=parts.keys.data_ptr(),
        values=parts.values.data_ptr(),
        type=parts.layer_type,
        is_gelu=parts.activation == "gelu_pytorch_tanh",
    )
    for name in _PRODUCTS:
        setattr(record, name, getattr(parts, name).address)
    for name in _NORMS:
        norm: RMSNorm | None = getattr(parts, name)
        if norm is not None:
            assert norm.weight.dtype == torch.float32
            assert norm.weight.is_contiguous()
            setattr(record, name, _Norm(norm.weight.data_ptr(), norm.eps))
    return record
