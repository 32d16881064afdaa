"""The KV cache of all sequences: opens them, and says how full it is. Bookkeeping, no tensors.

A block is in one of three states, and their numbers always add up to ``num_blocks``:

    free      nobody knows its content
    used      held by one sequence or several
    cached    held by none, kept in the prefix tree for prompts to come, evicted when room is needed

For one thread, but for the counts, which any thread may read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnj_agent.runtime.kv_cache.block_pool import BlockPool
from rnj_agent.runtime.kv_cache.block_table import CachedSequence, CopyBlock
from rnj_agent.runtime.kv_cache.prefix_tree import PrefixTree


class KVCache:
    """Room for ``num_blocks * block_size`` tokens, never more.

    Attributes:
        tree: what is known of the blocks; it knows the pool.
    """

    def __init__(self, num_blocks: int, block_size: int, copy_block: CopyBlock) -> None:
        self.tree = PrefixTree(BlockPool(num_blocks), block_size=block_size)
        self._copy_block = copy_block

    def open(self, token_ids: Sequence[int]) -> CachedSequence:
        """Begin a sequence with the longest prefix that is cached, but for the last token."""
        sequence = CachedSequence(self.tree, self._copy_block)
        sequence.adopt(token_ids)
        return sequence

    def reset(self) -> None:
        """Forget everything that no sequence holds."""
        self.tree.reset()

    @property
    def num_blocks(self) -> int:
        return self.tree.pool.num_blocks

    @property
    def block_size(self) -> int:
        """Tokens a block holds."""
        return self.tree.block_size

    @property
    def num_free_blocks(self) -> int:
        return self.tree.pool.num_free_blocks

    @property
    def num_cached_blocks(self) -> int:
        return self.tree.num_cached_blocks

    @property
    def num_used_blocks(self) -> int:
        return self.num_blocks - self.num_free_blocks - self.num_cached_blocks

    @property
    def num_evicted_blocks(self) -> int:
        """Since the start; ``reset`` does not count."""
        return self.tree.num_evicted_blocks
