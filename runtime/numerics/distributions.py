"""How far one model's next-token distributions are from another's.

T positions, V vocabulary. KL is of the reference's distribution p from the subject's q, in nats:
sum of p (log p - log q). Perplexity is that of the text itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

_ROWS: Final = 32
"""Positions at a time: a row of 262,144 logits is a megabyte, and several are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    num_positions: int
    mean_kl: float
    p99_kl: float
    max_kl: float
    top1_agreement: float
    """Share of positions whose most probable token is the same."""
    reference_perplexity: float
    subject_perplexity: float


class DriftMeter:
    """Takes the logits of both models, piece by piece of a text."""

    def __init__(self) -> None:
        self._kl: list[Tensor] = []
        self._agrees: list[Tensor] = []
        self._reference_nll: list[Tensor] = []
        self._subject_nll: list[Tensor] = []

    def add(self, reference: Tensor, subject: Tensor, next_ids: Tensor) -> None:
        """The distributions of T positions.

        Args:
            reference: logits, float32 [T, V].
            subject: likewise.
            next_ids: int64, the tokens that follow in the text: T, or T - 1 where it ends.
        """
        assert reference.shape == subject.shape
        assert len(next_ids) in {len(reference), len(reference) - 1}
        for first in range(0, len(reference), _ROWS):
            rows = slice(first, first + _ROWS)
            self._add_rows(reference[rows], subject[rows], next_ids[rows])

    def result(self) -> Drift:
        """Of all positions so far; at least two."""
        kl = torch.cat(self._kl).double()
        return Drift(
            num_positions=len(kl),
            mean_kl=kl.mean().item(),
            p99_kl=kl.quantile(0.99).item(),
            max_kl=kl.max().item(),
            top1_agreement=torch.cat(self._agrees).double().mean().item(),
            reference_perplexity=_perplexity(self._reference_nll),
            subject_perplexity=_perplexity(self._subject_nll),
        )

    def _add_rows(self, reference: Tensor, subject: Tensor, next_ids: Tensor) -> None:
        p, q = reference.float().log_softmax(-1), subject.float().log_softmax(-1)
        self._kl.append((p.exp() * (p - q)).sum(-1).clamp_(min=0.0).cpu())
        self._agrees.append((reference.argmax(-1) == subject.argmax(-1)).cpu())
        column = next_ids.to(p.device)[:, None]
        self._reference_nll.append(-p[: len(column)].gather(1, column).flatten().cpu())
        self._subject_nll.append(-q[: len(column)].gather(1, column).flatten().cpu())


def _perplexity(nll: list[Tensor]) -> float:
    return math.exp(torch.cat(nll).double().mean().item())
