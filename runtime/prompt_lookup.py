"""Guesses how a reply goes on: as the same tokens went on earlier, in the prompt or the reply.

Prompt lookup decoding (Saxena, https://github.com/apoorvumang/prompt-lookup-decoding): an edit
repeats most of its input, so the last tokens of the reply occur in the prompt, followed by what
comes next. Here the place is kept while the guesses are right, and after a change it is looked for
where it was lost: edits change a token, leave some out or put some in, and go on from there.

What is remembered of the history, ``[0, n)`` being all tokens of prompt and reply so far:

    [source - match_length, source)   equals [n - match_length, n): the reply follows these
    [source, n)                       what a draft is taken from
    [anchor, anchor + RESYNC_WINDOW)  where it was last followed with confidence, if that has ended:
                                      the reply is expected to come back to it

Not here: whether a guess is worth verifying (``speculative.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

MIN_NGRAM = 2
MAX_NGRAM = 16
"""Of two matches longer than this, neither is better."""
MAX_CANDIDATES = 32
"""Places with the same last tokens that are compared: the latest ones."""
RESYNC_WINDOW = 32
"""Tokens behind the anchor that are searched, and of the reply after which it is given up."""
RESYNC_BONUS = 2
"""A place behind the anchor is as good as one elsewhere that matches this many tokens more."""


class Draft(NamedTuple):
    ids: tuple[int, ...]
    """The guess; empty if nothing fits."""
    match_length: int
    """Tokens of the history's end that precede the guess where it was taken from.

    0: the reply has just left the place that it followed, and may have replaced one token.
    """


NO_DRAFT = Draft((), 0)


class PromptLookup:
    """Follows one sequence.

    Costs a dictionary entry for each token; the prompt's are made at the first draft.

    Args:
        prompt_ids: the history so far.
        min_ngram: tokens that must match where nothing says where to look.
        max_ngram: tokens of a match that count.
    """

    def __init__(
        self,
        prompt_ids: Sequence[int],
        *,
        min_ngram: int = MIN_NGRAM,
        max_ngram: int = MAX_NGRAM,
    ) -> None:
        assert 1 <= min_ngram <= max_ngram
        self._ids = list(prompt_ids)
        self._min_ngram = min_ngram
        self._max_ngram = max_ngram
        self._latest: dict[tuple[int, ...], int] = {}
        """Where the n-gram of ``min_ngram`` tokens last ended; ends are exclusive."""
        self._earlier: list[int] = [0] * min_ngram
        """For each end, the end before it of the same n-gram; 0: none. As LZ77's hash chains."""
        self._source: int | None = None
        self._match_length = 0
        self._anchor: int | None = None
        self._lost_at = 0

    def append(self, token_id: int) -> None:
        """The reply goes on with this token, guessed or not."""
        if self._source is not None:
            if self._ids[self._source] == token_id:
                self._source += 1
                self._match_length += 1
            else:
                self._leave(self._source)
        self._ids.append(token_id)

    def draft(self, max_tokens: int) -> Draft:
        """The next tokens as they followed the best match, at most ``max_tokens``."""
        self._index()
        if not self._is_settled(max_tokens):
            self._find_source(max_tokens)
        if self._source is None:
            return NO_DRAFT
        ids = self._ids[self._source : self._source + max_tokens]
        return Draft(tuple(ids), min(self._match_length, self._max_ngram))

    def _leave(self, source: int) -> None:
        """A place that was followed for long is where the reply will come back to."""
        if self._match_length >= self._min_ngram:
            self._anchor = source
            self._lost_at = len(self._ids)
        self._source = None
        self._match_length = 0

    def _index(self) -> None:
        """All n-grams that end before the history does: its own end is no match."""
        size, first_end = self._min_ngram, len(self._earlier)
        new = self._ids[first_end - size : -1]
        ngrams = zip(*(new[offset:] for offset in range(size)), strict=False)
        for end, ngram in enumerate(ngrams, start=first_end):
            self._earlier.append(self._latest.get(ngram, 0))
            self._latest[ngram] = end

    def _is_settled(self, max_tokens: int) -> bool:
        return (
            self._source is not None
            and self._match_length >= self._max_ngram
            and self._source + max_tokens <= len(self._ids)
        )

    def _find_source(self, max_tokens: int) -> None:
        """Longest match, then longest continuation, then the place followed so far or latest."""
        best = None if self._source is None else self._rank(self._source, max_tokens)
        source, match_length = self._source, self._match_length
        for candidate in self._candidates():
            rank = self._rank(candidate, max_tokens)
            if best is None or rank > best:
                best, source, match_length = rank, candidate, self._common_length(candidate)
        self._source, self._match_length = source, match_length

    def _candidates(self) -> Iterator[int]:
        num_ids = len(self._ids)
        end = self._latest.get(tuple(self._ids[num_ids - self._min_ngram :]), 0)
        for _ in range(MAX_CANDIDATES):
            if end == 0:
                break
            yield end
            end = self._earlier[end]
        if self._anchor is None:
            return
        if num_ids - self._lost_at > RESYNC_WINDOW:
            self._anchor = None
            return
        for source in range(self._anchor, min(self._anchor + RESYNC_WINDOW, num_ids)):
            if self._ids[source - 1] == self._ids[-1]:
                yield source
        if num_ids == self._lost_at + 1 and self._anchor + 1 < num_ids:
            yield self._anchor + 1

    def _rank(self, source: int, max_tokens: int) -> tuple[int, int]:
        match_length = self._common_length(source)
        if self._anchor is not None and 0 <= source - self._anchor < RESYNC_WINDOW:
            match_length += RESYNC_BONUS
        return match_length, min(max_tokens, len(self._ids) - source)

    def _common_length(self, source: int) -> int:
        """How many tokens before ``source`` equal the last ones, ``max_ngram`` at most."""
        ids, num_ids = self._ids, len(self._ids)
        most = min(self._max_ngram, source)
        for length in range(most):
            if ids[source - 1 - length] != ids[num_ids - 1 - length]:
                return length
        return most
