"""Guesses for the sequences of an engine: from where, how many, and how good they were.

Not here: the search for guesses (``prompt_lookup.py``), how many pay (``speculative.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.runtime.grammar import TokenMatcher
from rnj_agent.runtime.prompt_lookup import MAX_NGRAM, Draft, PromptLookup
from rnj_agent.runtime.speculative import SequenceSpeculation, SpeculationPolicy


class SequenceDrafts:
    """The guesses for one sequence, and the book of those that were right."""

    def __init__(self, prompt_ids: Sequence[int], policy: SpeculationPolicy) -> None:
        self._lookup = PromptLookup(prompt_ids)
        self._policy = policy
        self._state = SequenceSpeculation()
        self._match_length = 0

    def append(self, token_id: int) -> None:
        """The reply goes on with this token."""
        self._lookup.append(token_id)

    def draft(
        self, matcher: TokenMatcher | None, *, max_tokens: int, num_other_rows: int
    ) -> tuple[int, ...]:
        """Tokens worth verifying behind the newest one; often none.

        Args:
            matcher: of the reply's grammar: what it forces needs no search.
            max_tokens: what the reply may still grow by, after the token that comes anyway.
            num_other_rows: of the same pass.
        """
        max_tokens = min(max_tokens, self._policy.max_draft_tokens)
        if max_tokens < 1:
            return ()
        forced_ids = matcher.forced_ids()[:max_tokens] if matcher is not None else []
        if forced_ids:
            draft = Draft(tuple(forced_ids), MAX_NGRAM)
        else:
            draft = self._lookup.draft(max_tokens)
        width = self._policy.choose_width(draft, self._state, num_other_rows=num_other_rows)
        self._match_length = draft.match_length
        return draft.ids[: width - 1]

    def observe(self, num_drafted: int, num_accepted: int) -> None:
        """So many of the last draft's tokens were verified, and so many of them right."""
        self._state.observe(self._match_length, num_drafted, num_accepted)
