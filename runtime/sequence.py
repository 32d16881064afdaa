"""One reply in the making: its tokens, where it stands, and what it owns while it runs.

Ranges of ``token_ids``, S tokens of prompt and reply, C = ``cached.length``:

    [0, num_cached_tokens)    found in the cache when the sequence was admitted, or while it ran
    [num_cached_tokens, C)    computed by this sequence
    [C, S)                    not computed yet: more than one token while it prefills, exactly one,
                              the newest, while it decodes
    [S, S + drafts)           guesses, written by a verify pass; those that fail are overwritten

A waiting sequence has no cache: ``cached`` is None. A preempted one waits again, with its reply so
far as part of what it prefills next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnj_agent.runtime.grammar import Grammar, TokenMatcher
from rnj_agent.runtime.kv_cache.block_table import CachedSequence
from rnj_agent.runtime.outputs import Usage
from rnj_agent.runtime.sampling import RowPlan, Sampler, SamplingParams
from rnj_agent.runtime.speculation import SequenceDrafts


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    prompt_ids: Sequence[int]
    params: SamplingParams
    grammar: Grammar | None = None
    choice: int = 0
    """Which of a request's replies: with a seed, each draws its own reproducible stream."""


class TokenSequence:
    """Mutable; touched by the engine's thread alone.

    Args:
        request: what is asked for.
        max_model_len: tokens of prompt and reply together.
        drafts: guesses for the reply; None: none.
    """

    def __init__(
        self,
        request: EngineRequest,
        *,
        max_model_len: int,
        drafts: SequenceDrafts | None = None,
    ) -> None:
        params = request.params
        room = max_model_len - len(request.prompt_ids)
        self.params = params
        self.num_prompt_tokens = len(request.prompt_ids)
        self.max_tokens = room if params.max_tokens is None else min(room, params.max_tokens)
        self.token_ids = list(request.prompt_ids)
        self.sampler = Sampler(params, prompt_ids=request.prompt_ids, seed_offset=request.choice)
        self.matcher: TokenMatcher | None = request.grammar.matcher() if request.grammar else None
        self.drafts = drafts
        self.cached: CachedSequence | None = None
        self.is_finished = False
        self._num_cached_tokens = 0

    @property
    def num_completion_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_computed_tokens(self) -> int:
        return 0 if self.cached is None else self.cached.length

    @property
    def num_uncomputed_tokens(self) -> int:
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def is_decoding(self) -> bool:
        """It has said something, and only its newest token is to be computed."""
        return self.num_completion_tokens > 0 and self.num_uncomputed_tokens == 1

    @property
    def usage(self) -> Usage:
        return Usage(
            num_prompt_tokens=self.num_prompt_tokens,
            num_cached_tokens=self._num_cached_tokens,
            num_completion_tokens=self.num_completion_tokens,
        )

    def admit(self, cached: CachedSequence) -> None:
        """Run from here on; what was found in the cache is not computed."""
        self.cached = cached
        self._count_cached()

    def adopt(self) -> None:
        """Take over what others have computed of the same tokens since the last look."""
        assert self.cached is not None
        if self.cached.adopt(self.token_ids):
            self._count_cached()

    def release(self) -> None:
        """Give its blocks back; what they hold stays cached until the room is needed."""
        if self.cached is not None:
            self.cached.close()
            self.cached = None

    def append(self, token_id: int) -> None:
        """The reply goes on with this token."""
        self.token_ids.append(token_id)
        self.sampler.append(token_id)
        if self.matcher is not None:
            self.matcher.consume(token_id)
        if self.drafts is not None:
            self.drafts.append(token_id)

    def plans(self, draft_ids: Sequence[int]) -> list[RowPlan | None]:
        """How the next token is drawn, and those behind each draft if these come.

        None where the logits must be looked at, and where the grammar forbids the draft before.
        """
        num_rows = 1 + len(draft_ids)
        if self.sampler.needs_logits:
            return [None] * num_rows
        if self.matcher is None:
            return [self.sampler.plan(ahead, None) for ahead in range(num_rows)]
        masks = self.matcher.packed_masks(draft_ids)
        plans = [self.sampler.plan(ahead, mask) for ahead, mask in enumerate(masks)]
        return [*plans, *[None] * (num_rows - len(plans))]

    def _count_cached(self) -> None:
        """Of the prompt: once the reply has begun, a preempted sequence finds its own work."""
        assert self.cached is not None
        if self.num_completion_tokens == 0:
            self._num_cached_tokens = self.cached.num_cached_tokens
