"""Where a pass's rows go in the cache, as the kernels are told: checked, for they trust it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class SlotsArgument(NamedTuple):
    """The field ``slots`` where there is an address, else ``first_slot``."""

    first_slot: int
    address: int | None


def slots_argument(slots: Tensor | slice, *, num_rows: int, num_slots: int) -> SlotsArgument:
    """Args: slots: int64 [num_rows], or a slice of so many slots; all are below ``num_slots``."""
    if isinstance(slots, slice):
        assert 0 <= slots.start <= slots.stop <= num_slots
        assert slots.stop - slots.start == num_rows
        return SlotsArgument(slots.start, None)
    assert slots.dtype == torch.int64
    assert slots.shape == (num_rows,)
    assert slots.is_contiguous()
    lowest, highest = torch.aminmax(slots)
    assert 0 <= lowest.item() <= highest.item() < num_slots
    return SlotsArgument(0, slots.data_ptr())
