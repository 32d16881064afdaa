"""How the tokens so far change the next logits: repetition, presence and frequency penalties.

State of one sequence, two dense [V] vectors that one ``append`` changes at one place, so a token
costs the same however long the sequence is.

Legend: ``V`` vocabulary size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class RepetitionPenalty:
    """Divides positive and multiplies negative logits of tokens seen in prompt or reply.

    CTRL (arXiv:1909.05858), 4.1, in the form of transformers' ``RepetitionPenaltyLogitsProcessor``:
    the sign decides, so that the token always gets less probable.
    """

    def __init__(self, penalty: float, prompt_ids: Sequence[int]) -> None:
        self._penalty = penalty
        self._prompt_ids = prompt_ids
        self._reply_ids: list[int] = []
        self._divisors: torch.Tensor | None = None

    def append(self, token_id: int) -> None:
        if self._divisors is None:
            self._reply_ids.append(token_id)
        else:
            self._divisors[token_id] = self._penalty

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """[V] float32 -> [V] float32."""
        if self._divisors is None:
            self._divisors = torch.ones_like(logits)
            seen = torch.tensor([*self._prompt_ids, *self._reply_ids], dtype=torch.int64)
            self._divisors[seen] = self._penalty
        return torch.where(logits > 0, logits / self._divisors, logits * self._divisors)


class CountPenalty:
    """Subtracts ``presence`` once and ``frequency`` per occurrence from what the reply has said.

    As OpenAI's API defines the two; the prompt does not count.
    """

    def __init__(self, *, presence: float, frequency: float) -> None:
        self._presence = presence
        self._frequency = frequency
        self._counts: dict[int, int] = {}
        self._subtrahends: torch.Tensor | None = None

    def append(self, token_id: int) -> None:
        self._counts[token_id] = self._counts.get(token_id, 0) + 1
        if self._subtrahends is not None:
            self._subtrahends[token_id] = self._penalty_of(token_id)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """[V] float32 -> [V] float32."""
        if self._subtrahends is None:
            self._subtrahends = torch.zeros_like(logits)
            for token_id in self._counts:
                self._subtrahends[token_id] = self._penalty_of(token_id)
        return logits - self._subtrahends

    def _penalty_of(self, token_id: int) -> float:
        return self._presence + self._frequency * self._counts[token_id]
