"""The conversation on the screen: one widget that draws only the lines that are in view.

It holds no widget per block: a session of 10,000 events is a list, of which some forty lines are
drawn.
"""

from __future__ import annotations

from typing import ClassVar, Final, cast

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from rnj_agent.agent.tui.blocks import Block, UserBlock
from rnj_agent.agent.tui.draw.block import can_open
from rnj_agent.agent.tui.draw.canvas import Canvas, Line
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.drawn import DrawnBlocks
from rnj_agent.agent.tui.line_strips import LineStrips
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.viewport import Viewport

_GUTTER: Final = "  "
_MARKED: Final = "▌ "
_EMPTY: Final[Line] = []
_VIRTUAL_SIZE: Final = cast("Reactive[Size]", Widget.virtual_size)


class Transcript(ScrollView):
    """Follows the end until the person scrolls up; at the end it follows again."""

    ALLOW_SELECT: ClassVar[bool] = True
    can_focus = False  # keys act on it from wherever the focus is

    class Scrolled(Message):
        """Whether the end is followed may have changed."""

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor: int | None = None
        """The block that keys act on."""
        self._palette = palette
        self._conversation = Conversation()
        self._drawn = DrawnBlocks(Canvas(width=80, palette=palette))
        self._view = Viewport(self._drawn)
        self._is_placing = False
        self._strips = LineStrips()
        self._base_style = Style.null()

    @property
    def follows_end(self) -> bool:
        return self._view.follows_end

    @property
    def cursor_block(self) -> Block | None:
        return None if self.cursor is None else self._drawn.block(self.cursor)

    def show(self, conversation: Conversation) -> None:
        """Show another session, from its end."""
        self._conversation = conversation
        self._drawn.opened.clear()
        self.cursor = None
        conversation.take_changes()
        self._drawn.set_blocks(conversation.blocks, 0)
        self.go_to_end()

    def update_blocks(self) -> None:
        """Draw what has changed since the last time; called once a frame at most."""
        blocks = self._conversation.blocks
        self._drawn.set_blocks(blocks, self._conversation.take_changes())
        if self.cursor is not None and self.cursor >= len(blocks):  # undone
            self.cursor = None
        self._view.settle()
        self._place()

    def set_palette(self, palette: Palette) -> None:
        self._palette = palette
        self._set_canvas()

    def toggle(self, index: int) -> None:
        """Open or fold a block, which stays in view."""
        if can_open(self._drawn.block(index)):
            self._view.toggle(index)
            self._place()

    def open_all(self) -> None:
        """Open every block."""
        self._drawn.opened.update(range(len(self._conversation.blocks)))
        self._drawn.set_blocks(self._conversation.blocks, 0)
        self._view.scroll_to(0)
        self._place()

    def move_cursor(self, step: int) -> None:
        """Mark the next (1) or the previous (-1) block that can be opened."""
        blocks = [self._drawn.block(number) for number in range(len(self._drawn.layout))]
        start = self.cursor if self.cursor is not None else len(blocks) if step < 0 else -1
        index = start + step
        while 0 <= index < len(blocks) and not can_open(blocks[index]):
            index += step
        if 0 <= index < len(blocks):
            self.cursor = index
            self._view.reveal(index)
            self._place()

    def clear_cursor(self) -> None:
        self.cursor = None
        self.refresh()

    def toggle_marked(self) -> None:
        """Open or fold the marked block; where none is, the last that is no words of the person."""
        blocks = [self._drawn.block(number) for number in range(len(self._drawn.layout))]
        found = (number for number in reversed(range(len(blocks))) if can_open(blocks[number]))
        last = next((n for n in found if not isinstance(blocks[n], UserBlock)), None)
        if (index := last if self.cursor is None else self.cursor) is not None:
            self.toggle(index)

    def scroll_page(self, step: int) -> None:
        """A page up (-1) or down (1), with two lines of what was there."""
        self._view.scroll_to(self._view.top + step * max(1, self._view.height - 2))
        self._place()

    def go_to_start(self) -> None:
        self._view.scroll_to(0)
        self._place()

    def go_to_end(self) -> None:
        self._view.follows_end = True
        self._view.settle()
        self._place()

    @on(events.Resize)
    def _resized(self) -> None:
        self._view.height = self.size.height
        self._set_canvas()

    def _set_canvas(self) -> None:
        width = max(10, self.scrollable_content_region.width - len(_GUTTER))
        self._drawn.set_canvas(Canvas(width=width, palette=self._palette))
        self._view.redraw()
        self._place()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._is_placing and round(old_value) != round(new_value):
            self._view.height = self.size.height  # a new size moves it before it is told
            self._view.scroll_to(round(new_value))
            self._place()
            self.post_message(self.Scrolled())

    def _place(self) -> None:
        """Let Textual's scrolling agree with the view.

        The height of all lines changes with every frame and moves no other widget: setting it as a
        reactive would lay the whole screen out again.
        """
        self._is_placing = True
        # What lines are drawn upon; without colours that is the terminal itself.
        self._base_style = self.rich_style if self._palette.has_colour else Style.null()
        try:
            size = Size(self.scrollable_content_region.width, self._drawn.layout.num_lines)
            if size != self.virtual_size:
                self.set_reactive(_VIRTUAL_SIZE, size)
                self.vertical_scrollbar.window_virtual_size = size.height
            self.scroll_to(y=self._view.top, animate=False, immediate=True)
        finally:
            self._is_placing = False
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        line = self._view.top + y
        layout = self._drawn.layout
        if line >= layout.num_lines:
            return Strip.blank(width, self._base_style)
        index = layout.block_at(line)
        lines = self._drawn.lines(index) if self._drawn.is_drawn(index) else []
        row = line - layout.top(index)
        segments = lines[row] if row < len(lines) else _EMPTY
        gutter = self._gutter(index, is_gap=row >= len(lines) - 1)
        strip = self._strips.strip(line, segments, gutter, width, self._base_style)
        return self._with_selection(strip, line)

    def _gutter(self, index: int, *, is_gap: bool) -> Segment:
        is_user = isinstance(self._drawn.block(index), UserBlock)
        if is_gap or not (is_user or index == self.cursor):
            return Segment(_GUTTER)
        style = self._palette.warning if index == self.cursor else self._palette.accent
        return Segment(_MARKED, style)

    def _with_selection(self, strip: Strip, line: int) -> Strip:
        selection = self.text_selection
        if selection is None or (span := selection.get_span(line)) is None:
            return strip
        start, end = span[0], span[1] if span[1] != -1 else strip.cell_length
        style = self.screen.get_component_rich_style("screen--selection")
        before, marked, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
        return Strip.join([before, marked.apply_style(style), after])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text of what is marked, without the gutter; drawn where it was not in view."""
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self._drawn.layout.num_lines - 1
        lines = [self._text_of_line(line) for line in range(first, last + 1)]
        if selection.end:
            lines[-1] = lines[-1][: max(0, selection.end.x - len(_GUTTER))]
        if selection.start:
            lines[0] = lines[0][max(0, selection.start.x - len(_GUTTER)) :]
        return "\n".join(line.rstrip() for line in lines), "\n"

    def _text_of_line(self, line: int) -> str:
        layout = self._drawn.layout
        index = layout.block_at(line)
        lines, row = self._drawn.lines(index), line - layout.top(index)
        return "".join(segment.text for segment in lines[row]) if row < len(lines) else ""

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    @on(events.Click)
    def _open_clicked(self, event: events.Click) -> None:
        line = self._view.top + event.y
        if self.text_selection is None and line < self._drawn.layout.num_lines:
            self.toggle(self._drawn.layout.block_at(line))
