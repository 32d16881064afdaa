"""How far a quantisation is, told to whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rnj_agent.runtime.quantize.source import SourceTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeProgress:
    num_tensors: int
    """Done, of the source's."""
    num_tensors_total: int
    source_bytes: int
    """Done, of the source's."""
    source_bytes_total: int


OnProgress: TypeAlias = Callable[[QuantizeProgress], None]


class Counter:
    """Adds up the tensors that are done."""

    def __init__(self, tensors: Sequence[SourceTensor], on_progress: OnProgress) -> None:
        self._num_tensors_total = len(tensors)
        self._source_bytes_total = sum(tensor.size_bytes for tensor in tensors)
        self._on_progress = on_progress
        self._num_tensors = 0
        self._source_bytes = 0

    def __call__(self, tensor: SourceTensor) -> None:
        self._num_tensors += 1
        self._source_bytes += tensor.size_bytes
        self._on_progress(
            QuantizeProgress(
                num_tensors=self._num_tensors,
                num_tensors_total=self._num_tensors_total,
                source_bytes=self._source_bytes,
                source_bytes_total=self._source_bytes_total,
            )
        )
