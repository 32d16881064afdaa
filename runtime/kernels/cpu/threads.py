"""How many threads the kernels of a pass run with (``thread_choice.py`` measures it)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

_FEW_ROWS: Final = 16
"""Up to here a pass waits for memory: for weights, or for keys and values."""


@dataclass(slots=True)
class _Limit:
    num_threads: int | None = None


_limit: Final = _Limit()


def pass_threads(num_rows: int) -> int:
    """PyTorch's number; where a pass has few rows, no more than the limit."""
    num_threads = torch.get_num_threads()
    if _limit.num_threads is None or num_rows > _FEW_ROWS:
        return num_threads
    return min(_limit.num_threads, num_threads)


def limit_pass_threads(num_threads: int | None) -> None:
    """For this process, and passes with few rows; None: no limit."""
    _limit.num_threads = num_threads
