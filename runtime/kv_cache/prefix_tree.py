"""Which token sequences are in which blocks, so that a prompt finds what was computed before.

A tree: a node is one block, its key the exact tokens in it, its path from the root the prefix that
its keys and values depend on. Tokens are compared, never hashed alone: nothing is shared wrongly.
The tree holds a reference to each of its blocks; a sequence that holds a node holds its ancestors.

Not here: what a single sequence may write (``block_table.py``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rnj_agent.runtime.kv_cache.block_pool import BlockPool

Tokens: TypeAlias = tuple[int, ...]

MIN_FREE_DIVISOR = 16
"""Where room is made, 1/16 of the pool becomes free: evicted one at a time, the oldest blocks would
be handed out from a sequence's end to its start, backwards and never in a row."""
MAX_FOR_RUN_DIVISOR = 2
"""For the sake of blocks in a row, what is cached shrinks to half of the pool, not further."""


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A block that others may read."""

    parent: Node | None
    """None: the root, which is no block."""
    tokens: Tokens
    """What is published of the block; fewer than a block's size in a last, partial one."""
    block: int
    has_writer: bool = False
    """A sequence appends to this partial block, behind ``tokens``."""
    children: dict[Tokens, Node] = field(default_factory=dict)
    """Full blocks and partial last ones; a partial one has no children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The longest prefix that the tree knows."""

    nodes: tuple[Node, ...]
    """Full blocks, all of whose tokens match."""
    tail: Node | None
    """The block after them of which only the first tokens match, or may be used."""
    num_tail_tokens: int


class PrefixTree:
    """All blocks with known content.

    Attributes:
        root: the empty prefix.
        num_evicted_blocks: counts up for ever.
    """

    def __init__(self, pool: BlockPool, *, block_size: int) -> None:
        assert block_size > 0
        self.pool = pool
        self.block_size = block_size
        self.root = Node(parent=None, tokens=(), block=-1)
        self.num_evicted_blocks = 0
        # held by the tree alone, the least recently used first. A node comes before its parent: who
        # holds it holds the parent too, and releases it first. So the first one is always a leaf.
        self._cached: OrderedDict[Node, None] = OrderedDict()

    @property
    def num_cached_blocks(self) -> int:
        """Held by no sequence; every one of them can be evicted."""
        return len(self._cached)

    def match(self, parent: Node, token_ids: Sequence[int], start: int, end: int) -> Match:
        """Find ``token_ids[start:end]`` below a node; nothing is held yet."""
        nodes: list[Node] = []
        while end - start >= self.block_size:
            child = parent.children.get(tuple(token_ids[start : start + self.block_size]))
            if child is None:
                break
            nodes.append(child)
            parent, start = child, start + self.block_size
        wanted = tuple(token_ids[start : min(end, start + self.block_size)])
        tail, num_tail_tokens = _longest_match(parent, wanted)
        return Match(nodes=tuple(nodes), tail=tail, num_tail_tokens=num_tail_tokens)

    def covers(self, parent: Node, tokens: Tokens) -> bool:
        """Whether a prompt that goes on with these tokens finds them all in one child."""
        return _longest_match(parent, tokens)[1] == len(tokens)

    def hold(self, node: Node) -> None:
        """A sequence begins to use the block; it holds the ancestors already."""
        self._cached.pop(node, None)
        self.pool.retain(node.block)

    def release(self, node: Node) -> None:
        """A sequence no longer uses the block; it releases ancestors afterwards."""
        self.pool.release(node.block)
        if self.pool.num_holders(node.block) == 1:
            self._cached[node] = None

    def insert(self, parent: Node, tokens: Tokens, block: int) -> Node:
        """Publish a block that the calling sequence holds, below a node that it holds."""
        assert tokens not in parent.children
        self.pool.retain(block)
        node = parent.children[tokens] = Node(parent=parent, tokens=tokens, block=block)
        return node

    def extend(self, node: Node, tokens: Tokens) -> None:
        """Publish more of a partial block; the caller is its writer."""
        assert node.parent is not None
        assert node.has_writer
        siblings = node.parent.children
        assert tokens not in siblings
        assert tokens[: len(node.tokens)] == node.tokens
        siblings[tokens] = siblings.pop(node.tokens)
        node.tokens = tokens

    def forget(self, node: Node) -> None:
        """Take a leaf out of the tree; a sequence that holds its block keeps it for itself."""
        assert node.parent is not None
        assert not node.children
        del node.parent.children[node.tokens]
        self._cached.pop(node, None)
        self.pool.release(node.block)

    def make_room(self, num_blocks: int) -> bool:
        """Evict until so many blocks are free; False, and nothing evicted, if they cannot be."""
        pool = self.pool
        if num_blocks == 0 or (pool.num_free_blocks >= num_blocks and pool.has_run):
            return True
        if pool.num_free_blocks + self.num_cached_blocks < num_blocks:
            return False
        wanted = max(num_blocks, pool.num_blocks // MIN_FREE_DIVISOR)
        spare = pool.num_blocks // MAX_FOR_RUN_DIVISOR
        while self._cached and (
            pool.num_free_blocks < wanted or (self.num_cached_blocks > spare and not pool.has_run)
        ):
            self.forget(next(iter(self._cached)))
            self.num_evicted_blocks += 1
        return True

    def reset(self) -> None:
        """Forget every block that no sequence holds."""
        while self._cached:
            self.forget(next(iter(self._cached)))


def _longest_match(parent: Node, wanted: Tokens) -> tuple[Node | None, int]:
    """The child that shares the most first tokens, and how many; None without any."""
    best, longest = None, 0
    for tokens, child in parent.children.items():
        longer = wanted[: longest + 1]
        if tokens[: len(longer)] == longer and longest < len(wanted):
            best, longest = child, _common_prefix_length(tokens, wanted)
    return best, longest


def _common_prefix_length(a: Tokens, b: Tokens) -> int:
    for position, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return position
    return min(len(a), len(b))
