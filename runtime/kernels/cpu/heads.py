"""Heads are normalised, rotated, and written to the cache, in C (``heads.c``).

Covered: bfloat16 projections and caches, head sizes that are even.
Not covered: caches in 8 bits.

T rows, H query heads, K key/value heads, D head size, S slots.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from rnj_agent.runtime.kernels.cpu.cache_slots import slots_argument
from rnj_agent.runtime.kernels.cpu.library import Kernels
from rnj_agent.runtime.kernels.cpu.threads import pass_threads
from rnj_agent.runtime.layers.head_writer import CacheRows, HeadLayout, RotatedHeads
from rnj_agent.runtime.layers.rotary_embedding import Rotation


class _Heads(ctypes.Structure):
    """``heads`` of heads.c."""

    _fields_ = (
        ("qkv", ctypes.c_void_p),
        ("q_norm", ctypes.c_void_p),
        ("k_norm", ctypes.c_void_p),
        ("cos", ctypes.c_void_p),
        ("sin", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("num_slots", ctypes.c_int64),
        ("first_slot", ctypes.c_int64),
        ("num_rows", ctypes.c_int32),
        ("num_heads", ctypes.c_int32),
        ("num_kv_heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
        ("q_eps", ctypes.c_float),
        ("k_eps", ctypes.c_float),
    )


class HeadKernel:
    """As ``HeadWriter`` says; rotates in place, so ``qkv`` must not be used afterwards.

    Args:
        kernels: compiled.
    """

    def __init__(self, kernels: Kernels) -> None:
        self._write_heads = kernels.function("rnj_write_heads", ctypes.c_void_p, ctypes.c_int)

    def __call__(
        self, qkv: Tensor, layout: HeadLayout, rotation: Rotation, cache: CacheRows
    ) -> RotatedHeads:
        keys, values = cache.storage.keys[cache.layer].data, cache.storage.values[cache.layer].data
        num_heads, num_kv_heads, head_dim = layout.num_heads, layout.num_kv_heads, layout.head_dim
        num_rows, num_slots = qkv.shape[0], keys.shape[1]
        _check(qkv, num_rows, (num_heads + 2 * num_kv_heads) * head_dim)
        assert keys.dtype == values.dtype == torch.bfloat16
        assert keys.shape == values.shape == (num_kv_heads, num_slots, head_dim)
        for angles in rotation:
            assert angles.dtype == torch.float32
            assert angles.is_contiguous()
            assert angles.numel() == num_rows * (head_dim // 2)
        call = _Heads(
            qkv=qkv.data_ptr(),
            cos=rotation.cos.data_ptr(),
            sin=rotation.sin.data_ptr(),
            keys=keys.data_ptr(),
            values=values.data_ptr(),
            num_slots=num_slots,
            num_rows=num_rows,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
        )
        if layout.q_norm and layout.k_norm:
            call.q_norm, call.q_eps = layout.q_norm.weight.data_ptr(), layout.q_norm.eps
            call.k_norm, call.k_eps = layout.k_norm.weight.data_ptr(), layout.k_norm.eps
        call.first_slot, call.slots = slots_argument(
            cache.slots, num_rows=num_rows, num_slots=num_slots
        )
        self._write_heads(ctypes.addressof(call), pass_threads(num_rows))
        queries, new_keys, new_values = qkv.view(num_rows, -1, head_dim).split(
            (num_heads, num_kv_heads, num_kv_heads), dim=1
        )
        return RotatedHeads(queries, new_keys.transpose(0, 1), new_values.transpose(0, 1))


def _check(qkv: Tensor, num_rows: int, num_columns: int) -> None:
    assert qkv.shape == (num_rows, num_columns)
    assert qkv.dtype == torch.bfloat16
    assert qkv.is_cpu
    assert qkv.is_contiguous()
