"""One sequence's view of the cache: its tokens, its blocks, and which of them it may write.

Positions of a sequence, half-open ranges; F is length rounded down to full blocks:

    [0, F)                full: in the prefix tree, adopted or computed here; never written again
    [F, length)           tail, a partial block, in one of three states:
                            private  only this sequence knows it; written freely
                            own      published, and this sequence is its writer: it appends behind
                                     what the tree published, so readers of that are not disturbed
                            shared   adopted; read only, and copied (or made own) by ``reserve``
    [length, reserved)    reserved by ``reserve``: written by a forward pass, counted by ``commit``;
                          rejected drafts stay there as rubbish until they are overwritten
    [reserved, ..)        no block yet

``reserved`` is the end of the last block of ``block_table``, unless the tail is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnj_agent.runtime.kv_cache.prefix_tree import Node, PrefixTree, Tokens

CopyBlock = Callable[[int, int], None]
"""(source, destination): copies keys and values of all layers."""


class CachedSequence:
    """Made by ``KVCache.open``; gives its blocks back with ``close``.

    Attributes:
        token_ids: exactly the tokens whose keys and values are in the cache.
        block_table: block i holds positions [i * block_size, (i + 1) * block_size).
        num_cached_tokens: how many were adopted, not computed here.
    """

    def __init__(self, tree: PrefixTree, copy_block: CopyBlock) -> None:
        self.token_ids: list[int] = []
        self.block_table: list[int] = []
        self.num_cached_tokens = 0
        self._tree = tree
        self._copy_block = copy_block
        self._nodes: list[Node] = []  # of the full blocks
        self._tail: Node | None = None  # own or shared; None: private, or there is no tail
        self._is_writer = False  # the tail is own
        self._num_expected_blocks = 0

    @property
    def length(self) -> int:
        """Tokens whose keys and values are in the cache."""
        return len(self.token_ids)

    def adopt(self, token_ids: Sequence[int]) -> int:
        """Take over what others have computed of this sequence beyond ``length``.

        Args:
            token_ids: the whole sequence; it begins with ``self.token_ids``. Its last token is
                never adopted: its logits are wanted.

        Returns:
            How many tokens were gained.
        """
        block_size = self._tree.block_size
        self._num_expected_blocks = -(-len(token_ids) // block_size)
        full = len(self._nodes) * block_size
        match = self._tree.match(self._parent, token_ids, full, len(token_ids) - 1)
        end = full + len(match.nodes) * block_size + match.num_tail_tokens
        num_gained = end - self.length
        if num_gained <= 0:
            return 0
        adopted = [*match.nodes, match.tail] if match.tail else match.nodes
        for node in adopted:
            self._tree.hold(node)
        self._drop_tail()
        self._nodes += match.nodes
        self._tail = match.tail
        self.block_table += [node.block for node in adopted]
        self.token_ids[full:] = token_ids[full:end]
        self.num_cached_tokens += num_gained
        return num_gained

    def reserve(self, num_tokens: int) -> bool:
        """Make ``[length, length + num_tokens)`` writable, evicting what nobody holds.

        Returns:
            False, and nothing has changed, if there is no room.
        """
        assert num_tokens > 0
        num_needed = -(-(self.length + num_tokens) // self._tree.block_size)
        num_new = max(0, num_needed - len(self.block_table))
        prepare = self._make_tail_writable if self._is_tail_shared else self._tree.make_room
        if not prepare(num_new):
            return False
        for _ in range(num_new):
            self._append_block(num_needed)
        return True

    def commit(self, token_ids: Sequence[int]) -> None:
        """Count tokens that a forward pass has written from ``length`` on; full blocks are shared.

        They may be fewer than were reserved.
        """
        block_size = self._tree.block_size
        assert not (token_ids and self._is_tail_shared), "reserve comes before commit"
        assert self.length + len(token_ids) <= len(self.block_table) * block_size
        self.token_ids += token_ids
        while (len(self._nodes) + 1) * block_size <= self.length:
            self._share_full_block()

    def publish(self) -> None:
        """Let others find the partial last block too, as far as it is computed."""
        tokens = self._tail_tokens
        if not tokens or self._is_tail_shared or self._tree.covers(self._parent, tokens):
            return
        if self._tail is None:
            block = self.block_table[len(self._nodes)]
            self._tail = self._tree.insert(self._parent, tokens, block)
            self._tail.has_writer = self._is_writer = True
        else:
            self._tree.extend(self._tail, tokens)

    def close(self) -> None:
        """Give everything back; what was computed stays until room is needed."""
        self.publish()
        self._drop_tail()
        while self._nodes:
            self._tree.release(self._nodes.pop())
        self.block_table.clear()
        self.token_ids.clear()

    @property
    def _parent(self) -> Node:
        """Of the tail."""
        return self._nodes[-1] if self._nodes else self._tree.root

    @property
    def _tail_tokens(self) -> Tokens:
        return tuple(self.token_ids[len(self._nodes) * self._tree.block_size :])

    @property
    def _is_tail_shared(self) -> bool:
        return self._tail is not None and not self._is_writer

    def _append_block(self, num_needed: int) -> None:
        after = self.block_table[-1] if self.block_table else None
        index = len(self.block_table)
        room = max(num_needed, self._num_expected_blocks) - index
        self.block_table.append(self._tree.pool.allocate(after, index=index, room=room))

    def _make_tail_writable(self, num_new: int) -> bool:
        """Make a shared tail own or private, with room for so many blocks after it."""
        node = self._tail
        assert node is not None
        is_continued = not node.has_writer and node.tokens == self._tail_tokens
        if is_continued:
            if not self._tree.make_room(num_new):
                return False
            node.has_writer = self._is_writer = True
            return True
        if self._tree.make_room(num_new + 1):
            self._copy_tail(node)
            return True
        return self._take_tail(node, num_new)

    def _copy_tail(self, node: Node) -> None:
        """Copy on write, to where a run can grow: behind its source the source's own would."""
        index = len(self._nodes)
        room = max(1, self._num_expected_blocks - index)
        block = self._tree.pool.allocate(index=index, room=room)
        self._copy_block(node.block, block)
        self._tree.release(node)
        self._tail = None
        self.block_table[-1] = block

    def _take_tail(self, node: Node, num_new: int) -> bool:
        """Where a copy finds no room: write into the shared block if nobody else reads it.

        So a sequence that is alone can always grow to the size of the pool.
        """
        if self._tree.pool.num_holders(node.block) > 2 or not self._tree.make_room(num_new):
            return False
        # its children, if it had any, were evicted just now: room for a copy would have been there
        self._tree.forget(node)
        self._tail = None
        return True

    def _share_full_block(self) -> None:
        """Let the tree have a block that became full, or use the tree's where it has these tokens.

        Two sequences that compute the same tokens at the same time so end up with one block.
        """
        index = len(self._nodes)
        block_size = self._tree.block_size
        tokens = tuple(self.token_ids[index * block_size : (index + 1) * block_size])
        node = self._parent.children.get(tokens)
        if node is not None:
            self._tree.hold(node)
            self._release_tail_block(index)
            self.block_table[index] = node.block
        elif self._tail is None:
            node = self._tree.insert(self._parent, tokens, self.block_table[index])
        else:
            node = self._tail
            self._tree.extend(node, tokens)
            node.has_writer = self._is_writer = False
        self._nodes.append(node)
        self._tail = None

    def _release_tail_block(self, index: int) -> None:
        if self._tail is None:
            self._tree.pool.release(self.block_table[index])
            return
        if self._is_writer:
            self._tail.has_writer = self._is_writer = False
        self._tree.release(self._tail)
        self._tail = None

    def _drop_tail(self) -> None:
        """Give back every block behind the full ones, reserved ones too."""
        num_full = len(self._nodes)
        for index in reversed(range(num_full, len(self.block_table))):
            if index == num_full:
                self._release_tail_block(index)
            else:
                self._tree.pool.release(self.block_table[index])
        del self.block_table[num_full:]
