"""Memory for packed weights: a few large regions on huge pages, from which weights take parts.

Reading a gigabyte a token through pages of 4 KiB would cost a page table entry for each 64 lines.
Huge pages are asked for, not insisted on.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import Final

import torch
from torch import Tensor

REGION_BYTES: Final = 64 << 20
ALIGNMENT: Final = 64
"""A cache line, and a vector."""


class WeightMemory:
    """Pages that nobody has written to take no memory, so a region's rest costs nothing."""

    def __init__(self) -> None:
        self._region = torch.empty(0, dtype=torch.uint8)

    def allocate(self, num_bytes: int) -> Tensor:
        """uint8 [num_bytes], at a multiple of 64, its values undefined."""
        size = -(-num_bytes // ALIGNMENT) * ALIGNMENT
        if size > REGION_BYTES // 4:
            return _new_region(size)[:num_bytes]
        if size > len(self._region):
            self._region = _new_region(REGION_BYTES)
        part, self._region = self._region[:num_bytes], self._region[size:]
        return part


def _new_region(num_bytes: int) -> Tensor:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(num_bytes, dtype=torch.uint8)
    region = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        region.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(region, dtype=torch.uint8)
