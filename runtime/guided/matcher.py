"""Follows one reply through its grammar: a mask of the vocabulary for each token.

``V``: the size of the logits. Time of a mask with 152K tokens: ``benchmarks/guided_calls.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import torch
from llguidance import LLMatcher

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsBound:
    """How many tokens of words may stand before what a reply is there for.

    Counted here and not by the grammar, where no mask would be like the last, and each would take
    milliseconds.
    """

    max_tokens: int
    opening: bytes
    """What ends the words."""
    then: LLMatcher
    """The rest of the reply, the opening included, for one whose words did not end."""


class CompiledGrammar:
    """Never used itself: each reply has a copy, which costs microseconds."""

    def __init__(
        self,
        compiled: LLMatcher,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        bound: WordsBound | None = None,
    ) -> None:
        self._compiled = compiled
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._bound = bound

    def matcher(self) -> GuidedMatcher:
        return GuidedMatcher(
            self._compiled.deep_copy(), self._tokenizer, self._vocab_size, bound=self._bound
        )


class GuidedMatcher:
    """A ``TokenMatcher``.

    Every method raises EngineError where the grammar turns out to need more than its limits allow,
    or where a token is consumed that the mask forbids; the reply cannot go on then.
    """

    def __init__(
        self,
        state: LLMatcher,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        bound: WordsBound | None = None,
    ) -> None:
        self._state = state
        self._bound = bound
        """None once what ends the words has come."""
        self._said = b""
        self._num_said = 0
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._words = np.zeros((vocab_size + 31) // 32, dtype=np.int32)

    def mask(self) -> torch.Tensor:
        """Allowed tokens, bool [V]; after the end of the grammar those that end the turn."""
        self._compute(self._words)
        bits = np.unpackbits(self._words.view(np.uint8), count=self._vocab_size, bitorder="little")
        return torch.from_numpy(bits).view(torch.bool)

    def packed_masks(self, draft_ids: Sequence[int]) -> list[torch.Tensor]:
        """As ``TokenMatcher`` says: the state goes on with the drafts, and back again."""
        if self._bound and self._num_said + len(draft_ids) >= self._bound.max_tokens:
            draft_ids = ()  # behind one of them the grammar may be another
        num_allowed = self._state.validate_tokens(list(draft_ids))
        self._check()
        masks = [np.empty_like(self._words) for _ in range(num_allowed + 1)]
        for mask, draft_id in zip_longest(masks, draft_ids[:num_allowed]):
            self._compute(mask)
            if draft_id is not None:
                self._advance(draft_id)
        self._state.rollback(num_allowed)
        self._check()
        return [torch.from_numpy(mask) for mask in masks]

    def consume(self, token_id: int) -> None:
        self._advance(token_id)
        if self._bound:
            self._count(token_id, self._bound)

    def _count(self, token_id: int, bound: WordsBound) -> None:
        """One more token of words; too many of them, and the rest of the reply has to come."""
        self._num_said += 1
        self._said += self._tokenizer.decode_bytes([token_id])
        if bound.opening in self._said:
            self._bound = None
            return
        self._said = self._said[-len(bound.opening) :]
        is_begun = any(
            self._said.endswith(bound.opening[:size]) for size in range(1, len(bound.opening))
        )
        if self._num_said >= bound.max_tokens and not is_begun:
            self._state = bound.then.deep_copy()
            self._bound = None

    def _advance(self, token_id: int) -> None:
        if not self._state.consume_token(token_id):
            self._check()
            raise EngineError(f"token {token_id} comes after the end of a guided reply")

    def forced_ids(self) -> list[int]:
        """Tokens that spell what must come next, cut where the last one might go on otherwise."""
        ids = self._state.compute_ff_tokens()
        self._check()
        # a tokenizer may add a space in front, or drop a character that it has no token for
        if ids and not self._state.compute_ff_bytes().startswith(self._tokenizer.decode_bytes(ids)):
            return []
        return ids

    def _compute(self, words: npt.NDArray[np.int32]) -> None:
        self._state.unsafe_compute_mask_ptr(words.ctypes.data, words.nbytes)
        self._check()

    def _check(self) -> None:
        if self._state.is_error():
            reason = self._state.get_error().splitlines()[0][:300]
            raise EngineError(f"the grammar of a guided reply cannot be followed: {reason}")
