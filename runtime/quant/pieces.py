"""Elementwise work on large weights, cut into pieces that one thread and its cache can hold.

torch would share each operation among its threads, with a barrier behind each, which is slow when
anything else runs on the machine. Here every thread takes whole pieces and no operation is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

PIECE_WEIGHTS = 1 << 15
"""At most what torch does on one thread."""


def slices(length: int, step: int) -> list[slice]:
    """[0, length) in steps."""
    return [slice(start, start + step) for start in range(0, length, step)]


def run_pieces(work: Callable[[slice], None], pieces: list[slice]) -> None:
    """Do all pieces, on as many threads as torch has."""
    if len(pieces) == 1:
        work(pieces[0])
        return
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(work, pieces):
            pass
