"""Where each block stands among all lines of the conversation. Most heights are estimates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Layout:
    """Heights of blocks in lines, and the line where each begins.

    Changes at the end, which are most, cost nothing; one in the middle moves all that is below.
    """

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._tops: list[int] = []
        """Where each block begins; valid below ``_num_valid``."""
        self._num_valid = 0

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def num_lines(self) -> int:
        if not self._heights:
            return 0
        return self.top(len(self._heights) - 1) + self._heights[-1]

    def height(self, index: int) -> int:
        return self._heights[index]

    def set_height(self, index: int, height: int) -> None:
        if self._heights[index] != height:
            self._heights[index] = height
            self._num_valid = min(self._num_valid, index + 1)

    def replace_from(self, index: int, heights: Iterable[int]) -> None:
        """Let the blocks from ``index`` on have these heights, and no others follow."""
        self._heights[index:] = heights
        del self._tops[index:]
        self._num_valid = min(self._num_valid, index)

    def top(self, index: int) -> int:
        """The first line of a block."""
        self._settle(index)
        return self._tops[index]

    def block_at(self, line: int) -> int:
        """The block that holds a line; the last one for a line below all.

        Raises:
            IndexError: there are no blocks.
        """
        if not self._heights:
            raise IndexError("no blocks")
        self._settle(len(self._heights) - 1)
        return max(0, bisect_right(self._tops, max(0, line)) - 1)

    def _settle(self, index: int) -> None:
        if index < self._num_valid:
            return
        start = self._num_valid
        line = self._tops[start - 1] + self._heights[start - 1] if start else 0
        tops: list[int] = []
        for height in self._heights[start:]:
            tops.append(line)
            line += height
        self._tops[start:] = tops
        self._num_valid = len(self._heights)
