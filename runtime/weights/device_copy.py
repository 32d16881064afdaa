"""Copies stored tensors to where they are needed, without a second copy of them in host memory.

A copy from mapped pages straight to a GPU would go through the driver's own small pinned buffer,
one page fault after the other. Here all threads of torch copy pages into one of two pinned buffers,
while the other one is on its way to the GPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

PIECE_BYTES = 32 << 20
"""Large beside what starting a copy costs, small beside the weights."""


class DeviceCopy:
    """Copies to one device; holds pinned memory from the first copy to a GPU on."""

    def __init__(self) -> None:
        self._staging: _Staging | None = None

    def __call__(self, out: Tensor, stored: Tensor) -> None:
        """Fill ``out``, contiguous.

        Args:
            out: of any dtype and device.
            stored: of the same shape, on the CPU.
        """
        if out.is_cpu:
            out.copy_(stored)
            return
        if self._staging is None:
            self._staging = _Staging(out.device)
        # bytes are staged: what must be converted is converted before
        self._staging.copy(_as_bytes(out), _as_bytes(stored.to(out.dtype).contiguous()))


class _Staging:
    """Two pinned buffers, and for each the event after which it may be written again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers = [
            torch.empty(PIECE_BYTES, dtype=torch.uint8, pin_memory=True) for _ in range(2)
        ]
        self._sent = [torch.cuda.Event() for _ in range(2)]
        self._turn = 0

    def copy(self, out: Tensor, stored: Tensor) -> None:
        """Bytes [n] to bytes [n]; returns when the last piece is on its way."""
        with torch.cuda.device(self._device):  # events belong to the current device
            for out_piece, piece in zip(
                out.split(PIECE_BYTES), stored.split(PIECE_BYTES), strict=True
            ):
                self._turn = 1 - self._turn
                self._sent[self._turn].synchronize()  # returns at once before the first record
                buffer = self._buffers[self._turn][: len(piece)]
                buffer.copy_(piece)
                out_piece.copy_(buffer, non_blocking=True)
                self._sent[self._turn].record()


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.view(-1).view(torch.uint8)
