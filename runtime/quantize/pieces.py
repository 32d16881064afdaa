"""Reads a tensor of the source in pieces, and makes of them what is written.

Files are read into buffers, not mapped: mapped pages count as this process's memory as soon as they
are touched, and a shard has gigabytes of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.quantize.fp8_dynamic import quantize_channels
from rnj_agent.runtime.quantize.source import DTYPES, SourceTensor

PIECE_BYTES = 8 << 20
"""Read at once: a few times this is what a tensor of any size needs of memory."""


def output_bytes(tensor: SourceTensor) -> Iterator[bytes]:
    """What is written for a tensor: itself, or its FP8 weights and then their scales.

    Raises:
        CheckpointError: NaN or infinite weights, or the file has become shorter.
    """
    if not tensor.is_linear:
        for first, piece in _read(tensor, PIECE_BYTES):
            # NaN wins both: several times faster than isfinite of every number
            if not (piece.amax().isfinite() and piece.amin().isfinite()):
                raise _not_finite(tensor, first, piece)
            yield _as_bytes(piece)
        return
    scales: list[bytes] = []
    row_bytes = tensor.size_bytes // tensor.shape[0]
    for first, piece in _read(tensor, max(1, PIECE_BYTES // row_bytes) * row_bytes):
        data, scale = quantize_channels(piece.view(-1, tensor.shape[1]))
        if not scale.isfinite().all():
            raise _not_finite(tensor, first, piece)
        scales.append(_as_bytes(scale))
        yield _as_bytes(data)
    yield from scales


def _read(tensor: SourceTensor, piece_bytes: int) -> Iterator[tuple[int, Tensor]]:
    """Pieces of the flat tensor, and where in it each begins."""
    dtype = DTYPES[tensor.dtype]
    with tensor.file.open("rb") as file:
        file.seek(tensor.offset)
        for start in range(0, tensor.size_bytes, piece_bytes):
            buffer = bytearray(min(piece_bytes, tensor.size_bytes - start))
            if file.readinto(buffer) < len(buffer):
                raise CheckpointError(
                    f"{tensor.file.name} ends within {tensor.name}: it was changed meanwhile"
                )
            yield start // dtype.itemsize, torch.frombuffer(buffer, dtype=dtype)


def _not_finite(tensor: SourceTensor, first: int, piece: Tensor) -> CheckpointError:
    index = int(piece.isfinite().logical_not().nonzero()[0])
    position = torch.unravel_index(torch.tensor(first + index), tensor.shape)
    return CheckpointError(
        f"{tensor.file.name}: {tensor.name} is {piece[index].item()} "
        f"at {[int(axis) for axis in position]}",
        hint="The checkpoint is damaged: fetch it again. No scheme can quantise such weights.",
    )


def _as_bytes(tensor: Tensor) -> bytes:
    return tensor.view(torch.uint8).numpy().tobytes()
