"""Which lines are in view: it follows the end, or stays where the person looks.

Heights of blocks out of view are estimates. When one comes into view it is drawn, its height put
right, and the view moved by the difference, so that nothing jumps.
"""

from __future__ import annotations

from rnj_agent.agent.tui.drawn import DrawnBlocks


class Viewport:
    """``top`` is the first line in view, ``height`` how many there are."""

    def __init__(self, drawn: DrawnBlocks) -> None:
        self.drawn = drawn
        self.top = 0
        self.height = 0
        self.follows_end = True
        self._anchor = 0
        """The block that was at the top when it last settled: it must not jump."""

    @property
    def max_top(self) -> int:
        return max(0, self.drawn.layout.num_lines - self.height)

    def settle(self) -> None:
        """Draw what is in view; afterwards every height in it is exact."""
        if not len(self.drawn.layout) or not self.height:
            self.top = 0
            return
        if self.follows_end:
            self._settle_end()
        else:
            self._settle_middle()
        self.top = min(self.top, self.max_top)
        self._anchor = self.drawn.layout.block_at(self.top)

    def scroll_to(self, line: int) -> None:
        """Go to a line; at the last one, follow the end."""
        self.top = max(0, line)
        self.follows_end = line >= self.max_top
        self.settle()

    def reveal(self, index: int) -> None:
        """Scroll as little as it takes to see a block's beginning."""
        self.follows_end = False
        num_lines = len(self.drawn.lines(index))
        top = self.drawn.layout.top(index)
        if top < self.top or top + min(num_lines, self.height) > self.top + self.height:
            self.top = max(0, top - 1)
            self._anchor = index
        self.settle()

    def toggle(self, index: int) -> None:
        """Open or fold a block, whose first line stays in place, or comes into view."""
        self.follows_end = False
        self._anchor = self.drawn.layout.block_at(self.top)
        self.drawn.toggle(index)
        self.top = min(self.top, self.drawn.layout.top(index))
        self.settle()

    def redraw(self) -> None:
        """Settle after the canvas changed, with the same block at the top."""
        if self._anchor < len(self.drawn.layout):
            self.top = self.drawn.layout.top(self._anchor)
        self.settle()

    def _settle_end(self) -> None:
        room = self.height
        for index in reversed(range(len(self.drawn.layout))):
            if room <= 0:
                break
            room -= len(self.drawn.lines(index))
        self.top = self.max_top

    def _settle_middle(self) -> None:
        layout = self.drawn.layout
        anchor = min(self._anchor, len(layout) - 1)
        for _ in range(self.height + 2):  # every round draws a block at least
            top = layout.top(anchor)
            if not self._draw_in_view():
                break
            if top <= self.top + 2 * self.height:  # not for a jump to far above
                self.top = max(0, self.top + layout.top(anchor) - top)

    def _draw_in_view(self) -> bool:
        """Draw until the view is full; whether any height changed."""
        layout = self.drawn.layout
        index, changed = layout.block_at(self.top), False
        while index < len(layout) and layout.top(index) < self.top + self.height:
            before = layout.height(index)
            changed |= len(self.drawn.lines(index)) != before
            index += 1
        return changed
