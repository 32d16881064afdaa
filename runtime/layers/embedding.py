"""Rows of a matrix, looked up by token. The format of the matrix hides behind ``Embedding``."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional


class Embedding(Protocol):
    """A row for each token."""

    def __call__(self, input_ids: Tensor) -> Tensor:
        """int64 [T] to [T, hidden], in the activations' dtype."""
        ...


class DenseEmbedding:
    """Rows in floating point: [V, hidden]."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, input_ids: Tensor) -> Tensor:
        return functional.embedding(input_ids, self.weight)
