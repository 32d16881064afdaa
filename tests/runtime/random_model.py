"""Stands for a tiny random model: logits drawn anew for each token, sampled at temperature 1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from rnj_agent.runtime.grammar import TokenMatcher
from rnj_agent.runtime.tokenizer import Tokenizer

NUM_DRAWS = 1_000_000


class RandomModel:
    """One for each seed.

    Args:
        quote_bias: added to the logits of tokens that begin with a quote; without it strings
            without a bound run to hundreds of characters, and only test the same state again.
    """

    def __init__(
        self, tokenizer: Tokenizer, vocab_size: int, *, seed: int = 0, quote_bias: float = 2.0
    ) -> None:
        self._tokenizer = tokenizer
        self._bias = np.array(
            [
                quote_bias if token_id < tokenizer.vocab_size and self._is_quote(token_id) else 0.0
                for token_id in range(vocab_size)
            ],
            dtype=np.float32,
        )
        self._rows = self._noisy_logits(np.random.default_rng(seed))

    def reply(self, matcher: TokenMatcher, *, max_tokens: int) -> str | None:
        """What it says under the matcher; None where it does not come to an end."""
        ids: list[int] = []
        while len(ids) < max_tokens:
            token_id = self.next_token(matcher.mask())
            matcher.consume(token_id)
            if token_id in self._tokenizer.eos_ids:
                return self._tokenizer.decode(ids)
            ids.append(token_id)
        return None

    def next_token(self, mask: torch.Tensor | None) -> int:
        """One draw from softmax(logits): the highest of logits with Gumbel noise."""
        logits = next(self._rows)
        if mask is not None:
            logits[~mask.numpy()] = -np.inf
        token_id = int(logits.argmax())
        assert mask is None or mask[token_id], "the mask allows nothing"
        return token_id

    def _noisy_logits(self, rng: np.random.Generator) -> Iterator[npt.NDArray[np.float32]]:
        """Pieces of one long row, from anywhere in it: new draws for 262K tokens take long."""
        size = len(self._bias)
        logits = rng.standard_normal(NUM_DRAWS + size, dtype=np.float32)
        exponential = rng.standard_exponential(NUM_DRAWS + size, dtype=np.float32)
        noisy = logits - np.log(exponential + 1e-30)
        while True:
            start = int(rng.integers(NUM_DRAWS))
            yield noisy[start : start + size] + self._bias

    def _is_quote(self, token_id: int) -> bool:
        return self._tokenizer.token_bytes(token_id).startswith(b'"')
