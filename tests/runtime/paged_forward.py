"""Runs a model over paged storage: a sequence's tokens in passes, in whichever blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnj_agent.runtime.forward_batch import ForwardBatch, SequenceRows
from rnj_agent.runtime.kv_cache.buffer import KVDtype
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.models import CausalLM


@dataclass(slots=True, kw_only=True)
class TestSequence:
    """Tokens still to be computed, and where those that were computed lie."""

    __test__ = False
    block_table: Sequence[int]
    length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """What one sequence adds to a pass; logits of all of them are wanted."""

    sequence: TestSequence
    token_ids: Sequence[int]


@dataclass(slots=True, kw_only=True)
class PagedModel:
    """A model and its storage, with a block table for each sequence that is asked for."""

    model: CausalLM
    num_blocks: int = 16
    block_size: int = 64
    kv_dtype: KVDtype = "auto"
    storage: KVStorage = field(init=False)
    _free: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.storage = self.model.new_storage(
            num_blocks=self.num_blocks, block_size=self.block_size, kv_dtype=self.kv_dtype
        )
        self._free = list(range(self.num_blocks))

    def sequence(self, num_tokens: int) -> TestSequence:
        """A new one, with room, in the next free blocks."""
        count = -(-num_tokens // self.block_size)
        blocks, self._free = self._free[:count], self._free[count:]
        assert len(blocks) == count, "the test needs more blocks"
        return TestSequence(block_table=blocks)

    def scatter(self, *, seed: int = 0) -> None:
        """Hand out the blocks that are still free in a random order."""
        order = torch.randperm(len(self._free), generator=torch.Generator().manual_seed(seed))
        self._free = [self._free[i] for i in order.tolist()]

    def forward(self, *new: NewTokens) -> list[Tensor]:
        """One pass: [T_i, V] for each."""
        batch = ForwardBatch(
            input_ids=torch.tensor([token for tokens in new for token in tokens.token_ids]),
            sequences=tuple(
                SequenceRows(
                    block_table=tokens.sequence.block_table,
                    start=tokens.sequence.length,
                    num_tokens=len(tokens.token_ids),
                    num_logits=len(tokens.token_ids),
                )
                for tokens in new
            ),
        )
        logits = self.model.forward(batch, self.storage)
        for tokens in new:
            tokens.sequence.length += len(tokens.token_ids)
        return list(logits.split([len(tokens.token_ids) for tokens in new]))

    def run(
        self, sequence: TestSequence, token_ids: Sequence[int], chunks: Sequence[int] = ()
    ) -> Tensor:
        """Some tokens of one sequence, in passes of these sizes, else in one: [T, V]."""
        parts = torch.tensor(token_ids).split(list(chunks) or [len(token_ids)])
        return torch.cat(
            [
                self.forward(NewTokens(sequence=sequence, token_ids=part.tolist()))[0]
                for part in parts
            ]
        )
