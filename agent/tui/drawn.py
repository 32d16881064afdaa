"""The lines of blocks as they were drawn last, and the heights of those not drawn yet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rnj_agent.agent.tui.blocks import Block, ReplyBlock
from rnj_agent.agent.tui.draw.block import draw_block, estimate_height
from rnj_agent.agent.tui.draw.canvas import Canvas, Line
from rnj_agent.agent.tui.draw.lazy_lines import LazyLines
from rnj_agent.agent.tui.layout import Layout

if TYPE_CHECKING:
    from rnj_agent.agent.tui.draw.markdown import GrowingMarkdown

_MAX_LINES: Final = 6_000
"""Kept drawn; beyond it the blocks that were not looked at for longest are forgotten."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    block: Block
    lines: Sequence[Line]
    num_kept: int
    """Lines of it that take room: of a long output that is drawn as it is looked at, none."""


class DrawnBlocks:
    """Draws blocks when they are asked for, once for each width, palette and fold."""

    def __init__(self, canvas: Canvas) -> None:
        self.layout = Layout()
        self.opened: set[int] = set()
        self._canvas = canvas
        self._blocks: list[Block] = []
        self._drawn: OrderedDict[int, _Drawn] = OrderedDict()
        self._num_lines = 0
        self._growing: tuple[int, GrowingMarkdown] | None = None

    def set_canvas(self, canvas: Canvas) -> None:
        """Draw anew on another width or in other colours."""
        if canvas != self._canvas:
            self._canvas = canvas
            self._forget_all()
            self._estimate_from(0)

    def set_blocks(self, blocks: Sequence[Block], first_changed: int) -> None:
        """Look at these blocks as they are now; before ``first_changed`` they are as they were."""
        start = min(first_changed, len(self._blocks), len(blocks))
        self._blocks[start:] = blocks[start:]
        self._estimate_from(start)

    def block(self, index: int) -> Block:
        return self._blocks[index]

    def toggle(self, index: int) -> None:
        """Open a folded block, or fold an open one."""
        self.opened ^= {index}
        self._forget(index)
        self.lines(index)

    def lines(self, index: int) -> Sequence[Line]:
        """A block's lines, an empty one behind them; afterwards its height is exact."""
        block = self._blocks[index]
        drawn = self._drawn.get(index)
        if drawn is None or drawn.block is not block:
            self._forget(index)
            lines = self._draw(index, block)
            drawn = _Drawn(block, lines, 0 if isinstance(lines, LazyLines) else len(lines))
            self._drawn[index] = drawn
            self._num_lines += drawn.num_kept
            self._prune(keep=index)
        self._drawn.move_to_end(index)
        self.layout.set_height(index, len(drawn.lines))
        return drawn.lines

    def is_drawn(self, index: int) -> bool:
        """Whether the height of a block is exact."""
        drawn = self._drawn.get(index)
        return drawn is not None and drawn.block is self._blocks[index]

    def _draw(self, index: int, block: Block) -> Sequence[Line]:
        growing = self._growing_for(index, block)
        lines = draw_block(block, self._canvas, is_open=index in self.opened, growing=growing)
        if isinstance(lines, LazyLines):
            return lines
        return [*lines, []] if lines else []

    def _growing_for(self, index: int, block: Block) -> GrowingMarkdown | None:
        if not isinstance(block, ReplyBlock) or block.done:
            return None
        from rnj_agent.agent.tui.draw.markdown import GrowingMarkdown

        if self._growing is None or self._growing[0] != index:
            self._growing = (index, GrowingMarkdown(self._canvas))
        return self._growing[1]

    def _estimate_from(self, index: int) -> None:
        """The block that is drawn keeps its height until it is drawn again: nothing jumps."""
        heights = [
            len(self._drawn[number].lines)
            if number in self._drawn
            else estimate_height(block, self._canvas.width) + 1
            for number, block in enumerate(self._blocks[index:], index)
        ]
        self.layout.replace_from(index, heights)

    def _forget(self, index: int) -> None:
        if (drawn := self._drawn.pop(index, None)) is not None:
            self._num_lines -= drawn.num_kept

    def _forget_all(self) -> None:
        self._drawn.clear()
        self._num_lines = 0
        self._growing = None

    def _prune(self, *, keep: int) -> None:
        while self._num_lines > _MAX_LINES and len(self._drawn) > 1:
            oldest = next(iter(self._drawn))
            if oldest == keep:
                break
            self._forget(oldest)
