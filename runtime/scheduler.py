"""Which sequences the next forward pass computes, and how many tokens of each.

Every running reply gets its next token in every pass; prompts are prefilled in chunks beside them.
A chunk is small while replies wait for their tokens, so that a long prompt slows them down but does
not stop them. Of several prompts the one with the least left goes first, every fourth chunk to the
oldest, so that neither short ones wait for long ones nor long ones for ever. A prompt that begins
like one that is being prefilled lets that one go ahead and then takes over its blocks.

When no block is left, the youngest sequence is preempted: it waits again, at the front, and
prefills what it had. The pool holds at least one window, so the oldest can always go on.

Not here: the forward pass and sampling (``engine.py``).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.sequence import TokenSequence

OLDEST_EVERY = 4
"""One chunk in so many goes to the prompt that has waited longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRows:
    """One sequence's part of a pass."""

    sequence: TokenSequence
    num_tokens: int
    """Of its uncomputed tokens."""
    draft_ids: tuple[int, ...] = ()
    """Guesses behind its newest token, to be verified in the same pass."""

    @property
    def reaches_end(self) -> bool:
        """A new token can be sampled after this pass."""
        return self.num_tokens == self.sequence.num_uncomputed_tokens

    @property
    def num_logits(self) -> int:
        """Of the newest token and of all guesses, once the end is reached."""
        return 1 + len(self.draft_ids) if self.reaches_end else 0


class Scheduler:
    """Holds the waiting and the running sequences.

    Args:
        kv_cache: where sequences get their blocks.
        max_num_seqs: sequences that run at a time.
        prefill_chunk: prompt tokens of a pass when no reply waits for its next token.
        prefill_chunk_beside_decodes: likewise when one does.
    """

    def __init__(
        self,
        kv_cache: KVCache,
        *,
        max_num_seqs: int,
        prefill_chunk: int,
        prefill_chunk_beside_decodes: int,
    ) -> None:
        assert max_num_seqs > 0
        assert min(prefill_chunk, prefill_chunk_beside_decodes) >= kv_cache.block_size
        self.waiting: deque[TokenSequence] = deque()
        self.running: list[TokenSequence] = []
        """In the order of admission: the youngest is last."""
        self.num_preemptions = 0
        self._kv_cache = kv_cache
        self._max_num_seqs = max_num_seqs
        self._prefill_chunk = prefill_chunk
        self._prefill_chunk_beside_decodes = prefill_chunk_beside_decodes
        self._num_chunks = 0

    @property
    def has_work(self) -> bool:
        return bool(self.waiting or self.running)

    def add(self, sequence: TokenSequence) -> None:
        self.waiting.append(sequence)

    def remove(self, sequence: TokenSequence) -> None:
        """It has finished, failed or been cancelled; its blocks are given back."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        sequence.release()

    def schedule(self) -> list[ScheduledRows]:
        """The next pass; empty only if there is nothing to do. Blocks are reserved."""
        self._admit()
        scheduled = self._schedule_decodes()
        scheduled += self._schedule_prefills(has_decodes=bool(scheduled))
        # a preemption on the way may have taken the blocks of one that was scheduled before
        scheduled = [rows for rows in scheduled if rows.sequence.cached is not None]
        return scheduled if scheduled or not self.has_work else self.schedule()

    def _admit(self) -> None:
        """First come, first served, as long as all prompts that were let in can be finished."""
        while self.waiting and len(self.running) < self._max_num_seqs:
            sequence = self.waiting[0]
            cached = self._kv_cache.open(sequence.token_ids)
            sequence.admit(cached)
            promised = sum(self._num_missing_blocks(other) for other in self.running)
            needed = promised + self._num_missing_blocks(sequence)
            if self.running and needed > self._num_available_blocks:
                sequence.release()
                return
            self.running.append(self.waiting.popleft())

    def _schedule_decodes(self) -> list[ScheduledRows]:
        scheduled: list[ScheduledRows] = []
        decoding = [sequence for sequence in self.running if sequence.is_decoding]
        is_mixed = len(decoding) < len(self.running)
        num_rows = len(decoding)
        for sequence in decoding:
            if sequence.cached is None:  # preempted for one before it
                continue
            draft_ids = () if is_mixed else self._draft(sequence, num_other_rows=num_rows - 1)
            if draft_ids and not sequence.cached.reserve(1 + len(draft_ids)):
                draft_ids = ()  # guesses are not worth a preemption
            if draft_ids or self._reserve(sequence, 1):
                num_rows += len(draft_ids)
                rows = ScheduledRows(sequence=sequence, num_tokens=1, draft_ids=draft_ids)
                scheduled.append(rows)
        return scheduled

    def _draft(self, sequence: TokenSequence, *, num_other_rows: int) -> tuple[int, ...]:
        room = sequence.max_tokens - sequence.num_completion_tokens - 1
        if sequence.drafts is None or room < 1:
            return ()
        return sequence.drafts.draft(
            sequence.matcher, max_tokens=room, num_other_rows=num_other_rows
        )

    def _schedule_prefills(self, *, has_decodes: bool) -> list[ScheduledRows]:
        budget = self._prefill_chunk_beside_decodes if has_decodes else self._prefill_chunk
        scheduled: list[ScheduledRows] = []
        for sequence in self._prefill_order():
            if sequence.cached is None:
                continue
            sequence.adopt()
            if any(_begin_alike(sequence, rows.sequence) for rows in scheduled):
                continue
            num_tokens = self._chunk(sequence, budget)
            if num_tokens == 0 or not self._reserve(sequence, num_tokens):
                continue
            scheduled.append(ScheduledRows(sequence=sequence, num_tokens=num_tokens))
            budget -= num_tokens
        return scheduled

    def _prefill_order(self) -> list[TokenSequence]:
        prefilling = [sequence for sequence in self.running if not sequence.is_decoding]
        if not prefilling:
            return []
        self._num_chunks += 1
        by_rest = sorted(prefilling, key=lambda sequence: sequence.num_uncomputed_tokens)
        if self._num_chunks % OLDEST_EVERY == 0:
            by_rest.remove(prefilling[0])
            by_rest.insert(0, prefilling[0])
        return by_rest

    def _chunk(self, sequence: TokenSequence, budget: int) -> int:
        """Tokens to compute now: a prompt's chunks end where blocks end, so others can share."""
        num_left = sequence.num_uncomputed_tokens
        if num_left <= budget:
            return num_left
        end = sequence.num_computed_tokens + budget
        return max(0, end - end % self._kv_cache.block_size - sequence.num_computed_tokens)

    def _reserve(self, sequence: TokenSequence, num_tokens: int) -> bool:
        """Room for the next tokens, taken from younger sequences if it must be.

        False: this one is the youngest and was preempted itself.
        """
        assert sequence.cached is not None
        while not sequence.cached.reserve(num_tokens):
            victim = self.running[-1]
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _preempt(self, victim: TokenSequence) -> None:
        assert len(self.running) > 1, "the pool holds a window, so one sequence alone always fits"
        self.running.remove(victim)
        victim.release()
        self.waiting.appendleft(victim)
        self.num_preemptions += 1

    @property
    def _num_available_blocks(self) -> int:
        return self._kv_cache.num_free_blocks + self._kv_cache.num_cached_blocks

    def _num_missing_blocks(self, sequence: TokenSequence) -> int:
        """Blocks for all its tokens and the next one, beyond those it has."""
        assert sequence.cached is not None
        block_size = self._kv_cache.block_size
        num_needed = len(sequence.token_ids) // block_size + 1
        return max(0, num_needed - len(sequence.cached.block_table))


def _begin_alike(sequence: TokenSequence, other: TokenSequence) -> bool:
    """Whether ``other``, which is computed now, computes what ``sequence`` needs next.

    The very last token of a prompt is always computed by each: its logits are needed.
    """
    if sequence.num_uncomputed_tokens == 1:
        return False
    num_alike = sequence.num_computed_tokens + 1
    return (
        other.num_computed_tokens < num_alike
        and sequence.token_ids[:num_alike] == other.token_ids[:num_alike]
    )
