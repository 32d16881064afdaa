"""The next token from the logits of one position: greedy, or drawn from the filtered distribution.

What happens to the logits, in this order:

    logit_bias             added
    repetition_penalty     ``penalties.py``
    presence_penalty, frequency_penalty
    grammar mask           tokens that may not come get no probability
    temperature 0          the most probable token, done
    temperature, top_k, top_p, min_p

Bias and penalties come first as in vLLM's sampler (``vllm/v1/sample/sampler.py``); the mask comes
after them so that no bias can bring a forbidden token back. The filters follow each other as in
transformers (``GenerationMixin._get_logits_processor``), each on what the one before it left.

A draw is a function of (seed, choice, position) and the logits: the random number of a position is
a hash of these three. So a reply does not depend on how its tokens were computed: one by one,
several in a verify pass (``speculative.py``), or again after a preemption.

Not here: stop strings (``stop_strings.py``), batches on a GPU (``device_sampling.py``).

Legend: ``V`` vocabulary size, ``C`` candidates that the filters leave.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.penalties import CountPenalty, RepetitionPenalty

MIN_TEMPERATURE = 1e-5
"""Below it sampling is greedy: the division would leave float32's range."""
MAX_LOGIT_BIAS = 100.0
"""OpenAI's bounds: enough to force or forbid a token."""
_FIRST_LOOK = 256
"""Candidates sorted before the whole vocabulary is: nearly always enough for ``top_p``."""
_RANDOM_BYTES = 6
"""48 bits of a float64's 53: the product with a sum of probabilities stays below the sum."""


def _no_bias() -> Mapping[int, float]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    """0 is greedy: always the most probable token."""
    top_p: float = 1.0
    """Keep the smallest set of most probable tokens whose probabilities reach this sum."""
    top_k: int = 0
    """Keep this many most probable tokens; 0 keeps all."""
    min_p: float = 0.0
    """Keep tokens at least this share as probable as the best one (arXiv:2407.01082); 0: all."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens of the prompt and the reply so far less probable."""
    presence_penalty: float = 0.0
    """Subtracted once from the logits of tokens that the reply has; OpenAI's, -2 to 2."""
    frequency_penalty: float = 0.0
    """Subtracted as often as the reply has the token; OpenAI's, -2 to 2."""
    logit_bias: Mapping[int, float] = field(default_factory=_no_bias)
    """Added to the logits of these tokens, -100 to 100; ids within the vocabulary."""
    logprobs: int | None = None
    """Log-probabilities of the chosen token and of this many best ones; None: none at all."""
    seed: int | None = None
    """The same seed, prompt and parameters give the same reply; None: a new one each time."""
    max_tokens: int | None = None
    """Tokens of the reply at most; None: what the window leaves."""
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these strings."""
    ignore_eos: bool = False
    """Go on until ``max_tokens`` or the end of the window: for measurements."""

    def __post_init__(self) -> None:
        assert 0.0 <= self.temperature < math.inf
        assert 0.0 < self.top_p <= 1.0
        assert self.top_k >= 0
        assert 0.0 <= self.min_p <= 1.0
        assert 0.0 < self.repetition_penalty < math.inf
        assert -2.0 <= self.presence_penalty <= 2.0
        assert -2.0 <= self.frequency_penalty <= 2.0
        assert all(token_id >= 0 for token_id in self.logit_bias)
        assert all(abs(bias) <= MAX_LOGIT_BIAS for bias in self.logit_bias.values())
        assert self.logprobs is None or self.logprobs >= 0
        assert self.max_tokens is None or self.max_tokens >= 1
        assert all(self.stop), "an empty stop string stops everything"


class RowPlan(NamedTuple):
    """How the token of one row is chosen, where only the row's logits and a mask decide."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    uniform: float
    """The random number of its position, in [0, 1)."""
    mask: torch.Tensor | None = None
    """As ``TokenMatcher.packed_masks`` makes them; None: every token may come."""

    @property
    def is_best(self) -> bool:
        """The most probable token of all."""
        return self.temperature == 0.0 and self.mask is None


GREEDY = RowPlan(temperature=0.0, top_k=0, top_p=1.0, min_p=0.0, uniform=0.0)


class Candidates(NamedTuple):
    """What the filters leave, most probable first where they had to sort."""

    probs: torch.Tensor
    """[C] float32, sums to 1."""
    ids: torch.Tensor | None
    """[C] int64; None: candidate i is token i."""


class Sampler:
    """Chooses the tokens of one reply; knows what the reply has said.

    Args:
        params: how to choose.
        prompt_ids: read once, at the first sample, and only for the repetition penalty.
        seed_offset: which of several choices for one prompt this is: they differ, reproducibly.
    """

    def __init__(
        self, params: SamplingParams, *, prompt_ids: Sequence[int], seed_offset: int = 0
    ) -> None:
        self._params = params
        seed = secrets.randbits(64) if params.seed is None else params.seed
        self._key = f"{seed}/{seed_offset}"
        self._num_appended = 0
        self._bias_ids = torch.tensor(list(params.logit_bias), dtype=torch.int64)
        self._biases = torch.tensor(list(params.logit_bias.values()), dtype=torch.float32)
        self._penalties: list[RepetitionPenalty | CountPenalty] = []
        if params.repetition_penalty != 1.0:
            self._penalties.append(RepetitionPenalty(params.repetition_penalty, prompt_ids))
        presence, frequency = params.presence_penalty, params.frequency_penalty
        if presence or frequency:
            self._penalties.append(CountPenalty(presence=presence, frequency=frequency))

    def sample(self, logits: torch.Tensor, mask: torch.Tensor | None = None) -> int:
        """Choose the next token; the same one until ``append`` moves on.

        Args:
            logits: [V] float32, of the last position; left as they are.
            mask: bool [V], true where a token may come; None: every one may.

        Raises:
            EngineError: the model's logits are not numbers, or the mask allows nothing.
        """
        assert logits.ndim == 1
        if mask is not None:
            assert mask.shape == logits.shape
            num_allowed = int(mask.count_nonzero())
            if num_allowed == 0:
                raise EngineError("The grammar of this reply allows no token here.")
            if num_allowed == 1:
                return int(mask.byte().argmax())
        logits = self._adjusted(logits)
        if mask is not None:
            logits = logits.masked_fill(~mask, -math.inf)
        peak, best = logits.max(dim=0)
        if not math.isfinite(float(peak)):
            raise EngineError("The model's output is not a number: its weights are broken.")
        if self._params.temperature < MIN_TEMPERATURE:
            return int(best)
        return _draw(filtered(logits, self._params), self._uniform())

    @property
    def needs_logits(self) -> bool:
        """More decides than a ``RowPlan`` can say: the logits must come here."""
        params = self._params
        return bool(self._penalties or params.logit_bias or params.logprobs is not None)

    def plan(self, ahead: int, mask: torch.Tensor | None) -> RowPlan:
        """For whoever draws many rows at once: of the token after ``ahead`` more ``append``."""
        params = self._params
        if params.temperature < MIN_TEMPERATURE:
            return GREEDY._replace(mask=mask)
        return RowPlan(
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            min_p=params.min_p,
            uniform=self._uniform(ahead),
            mask=mask,
        )

    def append(self, token_id: int) -> None:
        """The reply goes on with this token, sampled or not."""
        self._num_appended += 1
        for penalty in self._penalties:
            penalty.append(token_id)

    def _adjusted(self, logits: torch.Tensor) -> torch.Tensor:
        if self._params.logit_bias:
            logits = logits.index_add(0, self._bias_ids, self._biases)
        for penalty in self._penalties:
            logits = penalty.apply(logits)
        return logits

    def _uniform(self, ahead: int = 0) -> float:
        """In [0, 1), the same for the same seed, choice and position."""
        key = f"{self._key}/{self._num_appended + ahead}".encode()
        digest = hashlib.blake2b(key, digest_size=_RANDOM_BYTES).digest()
        return int.from_bytes(digest) / 256**_RANDOM_BYTES


def filtered(logits: torch.Tensor, params: SamplingParams) -> Candidates:
    """The distribution that is drawn from: temperature, top_k, top_p, min_p, renormalised."""
    probs = torch.softmax((logits - logits.max()) / params.temperature, dim=0)
    num_kept = params.top_k if 0 < params.top_k < probs.numel() else probs.numel()
    candidates = Candidates(probs, None)
    if num_kept < probs.numel() or params.top_p < 1.0:
        candidates = _most_probable(probs, num_kept, params.top_p)
    if params.min_p > 0.0:
        candidates = _at_least(candidates, params.min_p)
    return candidates


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


def _at_least(candidates: Candidates, min_p: float) -> Candidates:
    probs, ids = candidates
    places = (probs >= min_p * probs.max()).nonzero().flatten()
    kept = probs[places]
    return Candidates(kept / kept.sum(), places if ids is None else ids[places])


def _draw(candidates: Candidates, uniform: float) -> int:
    """The first candidate where the running sum of probabilities exceeds ``uniform``."""
    sums = candidates.probs.cumsum(dim=0, dtype=torch.float64)
    place = int(torch.searchsorted(sums, uniform * float(sums[-1]), right=True))
    return place if candidates.ids is None else int(candidates.ids[place])
