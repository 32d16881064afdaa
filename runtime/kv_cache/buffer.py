"""The keys, or the values, of one layer: as they are, or with 8 bits a number.

K key/value heads, S slots, D head size, T tokens.
"""

from __future__ import annotations

import math
import mmap
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

KVDtype: TypeAlias = Literal["auto", "bf16", "fp8", "int8"]
"""How keys and values are kept: "auto" is the model's compute dtype."""

SCALE_DTYPE = torch.bfloat16
INT8_MAX = 127.0
FP8_BITS_IN_BFLOAT16 = -30736
"""0x87F0: sign, the low 4 bits of the exponent, the high 3 of the mantissa."""
FP8_TO_BFLOAT16_BIAS = 2.0**120
"""The exponents' biases are 7 and 127."""


class KVBuffer(Protocol):
    """[K, S, D]."""

    @property
    def data(self) -> Tensor:
        """As it is stored."""
        ...

    @property
    def scales(self) -> Tensor | None:
        """What multiplies ``data``, [K, S, 1]; None: nothing."""
        ...

    def write(self, slots: Tensor | slice, rows: Tensor) -> None:
        """Put [K, T, D] into T slots."""
        ...

    def run(self, first_slot: int, end_slot: int) -> Tensor:
        """[K, end_slot - first_slot, D]."""
        ...

    def gather(self, block_ids: Tensor, block_size: int) -> Tensor:
        """The blocks one after the other, [K, len(block_ids) * block_size, D]."""
        ...

    def copy(self, src_slot: int, dst_slot: int, num_slots: int) -> None:
        """Slots to slots."""
        ...

    @property
    def size_bytes(self) -> int: ...


class DenseBuffer:
    """One floating point number for each.

    Args:
        shape: [K, S, D].
        dtype: what is written and read.
        stored: what is kept.
        device: where.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        dtype: torch.dtype,
        stored: torch.dtype,
        device: torch.device,
    ) -> None:
        self.data = lazy_zeros(shape, stored, device)
        self.scales = None
        self.dtype = dtype

    def write(self, slots: Tensor | slice, rows: Tensor) -> None:
        write_slots(self.data, slots, rows)

    def run(self, first_slot: int, end_slot: int) -> Tensor:
        return self.data[:, first_slot:end_slot].to(self.dtype)

    def gather(self, block_ids: Tensor, block_size: int) -> Tensor:
        return gather_blocks(self.data, block_ids, block_size).to(self.dtype)

    def copy(self, src_slot: int, dst_slot: int, num_slots: int) -> None:
        copy_slots(self.data, src_slot, dst_slot, num_slots)

    @property
    def size_bytes(self) -> int:
        return self.data.nbytes


class QuantizedBuffer:
    """8 bits for each, and one scale for each token and head: x = data * scale.

    Covered: int8 and float8_e4m3fn, both with the row's largest value at the end of their range.
    Not covered: attention that reads 8 bits itself; ``run`` and ``gather`` widen what they return.

    Args:
        shape: [K, S, D].
        dtype: what is written and read.
        stored: torch.int8 or torch.float8_e4m3fn.
        device: where.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        dtype: torch.dtype,
        stored: torch.dtype,
        device: torch.device,
    ) -> None:
        self.data = lazy_zeros(shape, stored, device)
        self.scales = lazy_zeros((*shape[:2], 1), SCALE_DTYPE, device)
        self.dtype = dtype

    def write(self, slots: Tensor | slice, rows: Tensor) -> None:
        data, scales = quantize_rows(rows, self.data.dtype)
        write_slots(self.data.view(torch.int8), slots, data.view(torch.int8))
        write_slots(self.scales, slots, scales)

    def run(self, first_slot: int, end_slot: int) -> Tensor:
        return self._widen(self.data[:, first_slot:end_slot], self.scales[:, first_slot:end_slot])

    def gather(self, block_ids: Tensor, block_size: int) -> Tensor:
        data = gather_blocks(self.data.view(torch.int8), block_ids, block_size)
        return self._widen(
            data.view(self.data.dtype), gather_blocks(self.scales, block_ids, block_size)
        )

    def copy(self, src_slot: int, dst_slot: int, num_slots: int) -> None:
        copy_slots(self.data, src_slot, dst_slot, num_slots)
        copy_slots(self.scales, src_slot, dst_slot, num_slots)

    @property
    def size_bytes(self) -> int:
        return self.data.nbytes + self.scales.nbytes

    def _widen(self, data: Tensor, scales: Tensor) -> Tensor:
        # in one dtype: a product of two takes twice as long
        return widen(data, self.dtype).mul_(scales.to(self.dtype))


def quantize_rows(rows: Tensor, stored: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scale the last dimension to the range of ``stored``, and round.

    Args:
        rows: floating point [..., D].
        stored: torch.int8 or torch.float8_e4m3fn.

    Returns:
        ``stored`` [..., D], and bfloat16 scales [..., 1].
    """
    largest = INT8_MAX if stored == torch.int8 else torch.finfo(stored).max
    wide = rows.float()
    # a row of zeros must not divide by zero
    smallest = torch.finfo(torch.float32).tiny * largest
    scales = wide.abs().amax(dim=-1, keepdim=True).clamp_(min=smallest) / largest
    # rounded before it divides, so that the rounding costs no accuracy
    scales = scales.to(SCALE_DTYPE)
    scaled = (wide / scales).clamp_(-largest, largest)
    return (scaled.round_() if stored == torch.int8 else scaled).to(stored), scales


def widen(data: Tensor, dtype: torch.dtype) -> Tensor:
    """From 8 bits to ``dtype``, exactly. NaN is not kept: a cache that holds one is lost anyway.

    On a CPU, torch converts float8 one number at a time, ten times slower than shifting bits.
    """
    if data.dtype != torch.float8_e4m3fn or dtype != torch.bfloat16 or not data.is_cpu:
        return data.to(dtype)
    bits = data.view(torch.int8).to(torch.int16)
    bits.bitwise_left_shift_(4).bitwise_and_(FP8_BITS_IN_BFLOAT16)
    return bits.view(torch.bfloat16).mul_(FP8_TO_BFLOAT16_BIAS)


def lazy_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros whose pages take no memory before they are written, where the system can do that.

    Zeros, because a masked slot is still multiplied, and leftover NaN would spread.
    ``torch.zeros`` writes every page at once.
    """
    if device.type != "cpu" or not hasattr(mmap, "MAP_PRIVATE"):
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(
        -1, math.prod(shape) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    return torch.frombuffer(pages, dtype=dtype).view(shape)


def write_slots(data: Tensor, slots: Tensor | slice, rows: Tensor) -> None:
    """data[:, slots] = rows, for data [K, S, D] and rows [K, T, D]."""
    if isinstance(slots, slice):
        data[:, slots].copy_(rows)
    else:
        data.index_copy_(1, slots, rows.to(data.dtype))


def gather_blocks(data: Tensor, block_ids: Tensor, block_size: int) -> Tensor:
    """[K, S, D] to [K, len(block_ids) * block_size, D]."""
    return data.unflatten(1, (-1, block_size)).index_select(1, block_ids).flatten(1, 2)


def copy_slots(data: Tensor, src_slot: int, dst_slot: int, num_slots: int) -> None:
    """Within [K, S, D]."""
    data[:, dst_slot : dst_slot + num_slots] = data[:, src_slot : src_slot + num_slots]
