"""The next token from the logits of one position: greedy, or drawn from the filtered distribution.

Not here: stop strings (``stop_strings.py``), and batches, which need one row of this each.

Legend: ``V`` vocabulary size, ``C`` candidates that the filters leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from rnj_agent.runtime.errors import EngineError

_FIRST_LOOK = 256
"""Candidates sorted before the whole vocabulary is: nearly always enough for ``top_p``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    """0 is greedy: always the most probable token."""
    top_p: float = 1.0
    """Keep the smallest set of most probable tokens whose probabilities reach this sum."""
    top_k: int = 0
    """Keep this many most probable tokens; 0 keeps all."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens of the prompt and the reply so far less probable (CTRL, 2019, 4.1)."""
    seed: int | None = None
    """The same seed, prompt and parameters give the same reply; None: a new one each time."""
    max_tokens: int | None = None
    """Tokens of the reply at most; None: what the window leaves."""
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these strings."""
    ignore_eos: bool = False
    """Go on until ``max_tokens`` or the end of the window: for measurements."""

    def __post_init__(self) -> None:
        assert self.temperature >= 0.0
        assert 0.0 < self.top_p <= 1.0
        assert self.top_k >= 0
        assert self.repetition_penalty > 0.0
        assert self.max_tokens is None or self.max_tokens >= 1
        assert all(self.stop), "an empty stop string stops everything"


class Candidates(NamedTuple):
    """What the filters leave, most probable first where they had to sort."""

    probs: torch.Tensor
    """[C] float32, sums to 1."""
    ids: torch.Tensor
    """[C] int64."""


class Sampler:
    """Draws the tokens of one request; owns its random state."""

    def __init__(self, params: SamplingParams) -> None:
        self._params = params
        self._generator = torch.Generator()
        if params.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(params.seed)

    def sample(self, logits: torch.Tensor, history_ids: Sequence[int]) -> int:
        """Choose the next token.

        Args:
            logits: [V] float32, of the last position.
            history_ids: the prompt and the reply so far, for the repetition penalty.

        Raises:
            EngineError: the model's logits are not numbers.
        """
        assert logits.ndim == 1
        logits = _penalize(logits, history_ids, self._params.repetition_penalty)
        peak, best = logits.max(dim=0)
        if not torch.isfinite(peak):
            raise EngineError("The model's output is not a number: its weights are broken.")
        if self._params.temperature == 0.0:
            return int(best)
        candidates = filtered(logits, self._params)
        drawn = torch.multinomial(candidates.probs, 1, generator=self._generator)
        return int(candidates.ids[drawn])


def filtered(logits: torch.Tensor, params: SamplingParams) -> Candidates:
    """The distribution that is drawn from: temperature, then top_k, then top_p, renormalised."""
    probs = torch.softmax(logits / params.temperature, dim=0)
    num_kept = params.top_k if 0 < params.top_k < probs.numel() else probs.numel()
    if num_kept == probs.numel() and params.top_p == 1.0:
        return Candidates(probs, torch.arange(num_kept))
    return _most_probable(probs, num_kept, params.top_p)


def _most_probable(probs: torch.Tensor, num_kept: int, top_p: float) -> Candidates:
    """Sort no more of the vocabulary than the filters need."""
    if num_kept < probs.numel():
        kept, ids = probs.topk(num_kept)
        kept = kept / kept.sum()
    else:
        kept, ids = probs.topk(min(_FIRST_LOOK, num_kept))
        if kept.sum() < top_p:
            kept, ids = probs.sort(descending=True)
    if top_p < 1.0:
        mass_before = kept.cumsum(dim=0) - kept
        num_nucleus = max(1, int((mass_before < top_p).sum()))
        kept, ids = kept[:num_nucleus], ids[:num_nucleus]
    return Candidates(kept / kept.sum(), ids)


def _penalize(
    logits: torch.Tensor, history_ids: Sequence[int], repetition_penalty: float
) -> torch.Tensor:
    if repetition_penalty == 1.0 or not history_ids:
        return logits
    seen = torch.tensor(sorted(set(history_ids)))
    scores = logits[seen]
    penalized = torch.where(scores > 0, scores / repetition_penalty, scores * repetition_penalty)
    return logits.index_put((seen,), penalized)
