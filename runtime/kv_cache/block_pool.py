"""Physical blocks: who holds how many references, and which free one is given out next.

Not here: what is in a block (``prefix_tree.py``, ``block_table.py``), the tensors (``storage.py``).
"""

from __future__ import annotations

import heapq

RUN_BLOCKS = 8
"""Attention reads segments of 512 tokens, 8 blocks of 64: in place if they lie in a row, else from
a copy of the segment that every pass makes anew."""
MIN_RUNS = 32
"""A pool of fewer runs is too small to be particular."""


class BlockPool:
    """Blocks 0 to num_blocks - 1, each free or held.

    Placement matters: a sequence's blocks should lie in a row. So a growing sequence gets the block
    behind its last one, and one that cannot goes on amid the largest gap: whoever lives before that
    gap can still grow into its first half. The pool is cut into aligned runs of ``RUN_BLOCKS``; a
    sequence enters only runs that are wholly free, at the place that its next block has in its own
    table, so that every segment of the table is one run. When there are none, any block will do.

    Free blocks are kept as gaps, half-open ranges that never touch; no operation scans the pool.
    """

    def __init__(self, num_blocks: int) -> None:
        assert num_blocks > 0
        self.num_blocks = num_blocks
        self.num_free_blocks = num_blocks
        self._run_blocks = RUN_BLOCKS if num_blocks >= MIN_RUNS * RUN_BLOCKS else 1
        self._num_holders = [0] * num_blocks
        self._gap_ends: dict[int, int] = {}
        self._gap_starts: dict[int, int] = {}
        self._largest: list[tuple[int, int]] = []  # heap of (-size, start); stale ones stay a while
        self._add_gap(0, num_blocks)

    def num_holders(self, block: int) -> int:
        """0: the block is free."""
        return self._num_holders[block]

    @property
    def has_run(self) -> bool:
        """Whether a sequence can enter a wholly free run."""
        return self.num_free_blocks > 0 and self._holds_run(self._largest_gap())

    def allocate(self, after: int | None = None, *, index: int = 0, room: int = 1) -> int:
        """Take a free block; there must be one. The caller is its only holder.

        Args:
            after: the block that it should follow: the caller's last one.
            index: its place in the caller's block table.
            room: how many blocks the caller will want in a row, this one included.
        """
        assert self.num_free_blocks > 0
        neighbour = -1 if after is None else after + 1
        is_free = neighbour in self._gap_ends
        if is_free and (neighbour % self._run_blocks != 0 or self._holds_run(neighbour)):
            block = gap = neighbour
        elif self.has_run:
            gap = self._largest_gap()
            block = self._enter_run(gap, room) + index % self._run_blocks
        else:
            block = gap = neighbour if is_free else self._largest_gap()
        self._take(block, gap)
        return block

    def retain(self, block: int) -> None:
        """Count one more holder of a held block."""
        assert self._num_holders[block] > 0
        self._num_holders[block] += 1

    def release(self, block: int) -> None:
        """Count one holder less; without any the block is free."""
        assert self._num_holders[block] > 0
        self._num_holders[block] -= 1
        if self._num_holders[block] == 0:
            self._give_back(block)

    def _first_run(self, gap: int) -> int:
        return -(-gap // self._run_blocks) * self._run_blocks

    def _holds_run(self, gap: int) -> bool:
        return self._first_run(gap) + self._run_blocks <= self._gap_ends[gap]

    def _enter_run(self, gap: int, room: int) -> int:
        """Where a run begins amid a gap that holds one; an untouched pool is begun at its start."""
        size = self._gap_ends[gap] - gap
        if size == self.num_blocks:
            return gap
        middle = gap + max(0, size - room) // 2
        return max(self._first_run(gap), middle // self._run_blocks * self._run_blocks)

    def _take(self, block: int, gap: int) -> None:
        end = self._remove_gap(gap)
        self._add_gap(gap, block)
        self._add_gap(block + 1, end)
        self._num_holders[block] = 1
        self.num_free_blocks -= 1

    def _give_back(self, block: int) -> None:
        start, end = block, block + 1
        if end in self._gap_ends:
            end = self._remove_gap(end)
        if start in self._gap_starts:
            start = self._gap_starts[start]
            self._remove_gap(start)
        self._add_gap(start, end)
        self.num_free_blocks += 1

    def _add_gap(self, start: int, end: int) -> None:
        if start == end:
            return
        self._gap_ends[start] = end
        self._gap_starts[end] = start
        heapq.heappush(self._largest, (start - end, start))
        if len(self._largest) > 4 * len(self._gap_ends) + 64:
            self._largest = [(start - end, start) for start, end in self._gap_ends.items()]
            heapq.heapify(self._largest)

    def _remove_gap(self, start: int) -> int:
        end = self._gap_ends.pop(start)
        del self._gap_starts[end]
        return end

    def _largest_gap(self) -> int:
        """Its start."""
        while True:
            negative_size, start = self._largest[0]
            if self._gap_ends.get(start) == start - negative_size:
                return start
            heapq.heappop(self._largest)
