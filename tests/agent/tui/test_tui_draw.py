"""Blocks as lines: harmless, within the width, the same however a text arrived."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import Color as RichColor
from textual.color import Color

from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.tui.blocks import CallBlock, CommandBlock, UserBlock
from rnj_agent.agent.tui.draw.ansi import output_lines
from rnj_agent.agent.tui.draw.block import draw_block
from rnj_agent.agent.tui.draw.canvas import Canvas, Line
from rnj_agent.agent.tui.draw.diff import diff_of_texts, files_of_patch
from rnj_agent.agent.tui.draw.lazy_lines import LazyLines
from rnj_agent.agent.tui.draw.markdown import GrowingMarkdown
from rnj_agent.agent.tui.drawn import DrawnBlocks
from rnj_agent.agent.tui.output import Output
from rnj_agent.agent.tui.parts import joined_parts, markdown_parts
from rnj_agent.agent.tui.pieces import pieces_of
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.themes import DARK, PLAIN, THEMES, palette_of, wants_colour
from rnj_agent.agent.tui.viewport import Viewport
from rnj_agent.agent.wording import printable
from tests.agent.tui.demo_session import PATCH, REPLY, TEST_OUTPUT, demo_events
from tests.agent.tui.event_streams import EVENTS

CANVAS = Canvas(width=60, palette=palette_of(DARK))
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\x1b[1;31mred\x1b[0m\x1b[9999Cx\x1bPq\x1b\\y\b\x00\n"


def text_of(lines: Sequence[Line]) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in lines)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=12), st.integers(20, 120), st.booleans())
def test_every_block_is_drawn_within_the_width_and_without_controls(
    events: list[object], width: int, is_open: bool
) -> None:
    conversation = Conversation()
    for event in events:
        conversation.apply(event)  # pyright: ignore[reportArgumentType]
    canvas = Canvas(width=width, palette=CANVAS.palette)
    for block in conversation.blocks:
        for line in draw_block(block, canvas, is_open=is_open):
            assert sum(segment.cell_length for segment in line) <= width
            assert all(printable(segment.text) == segment.text for segment in line)
            assert all("\n" not in segment.text for segment in line)


def test_colours_stay_and_everything_else_is_harmless() -> None:
    (line,) = output_lines(HOSTILE)
    assert line.plain == "redxy"
    assert "color(1)" in str(line.spans[0].style)
    (plain,) = output_lines(HOSTILE, has_colour=False)
    assert plain.plain == "redxy"
    assert all("color" not in str(span.style) for span in plain.spans)


def test_a_progress_bar_is_one_line_in_its_last_state() -> None:
    assert [line.plain for line in output_lines("1%\r50%\r100%\ndone\r\n")] == ["100%", "done"]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab #-*`~>1. \n|", max_size=120))
def test_parts_join_to_the_source_and_only_the_last_may_change(source: str) -> None:
    assert "".join(markdown_parts(source)) == source
    assert "".join(joined_parts(source)) == source
    for cut in range(0, len(source), 7):
        closed = markdown_parts(source[:cut])[:-1]
        assert markdown_parts(source)[: len(closed)] == closed


def test_a_reply_looks_the_same_however_it_arrived() -> None:
    growing = GrowingMarkdown(CANVAS)
    lines: list[Line] = []
    for end in range(0, len(REPLY) + 1, 3):
        lines = growing.draw(REPLY[:end])
    assert text_of(lines) == text_of(GrowingMarkdown(CANVAS).draw(REPLY[: len(REPLY) // 3 * 3]))
    assert " 1 sorted brings (1, 2)" in text_of(lines)


def test_an_open_fence_is_drawn_as_code_while_it_grows() -> None:
    lines = text_of(GrowingMarkdown(CANVAS).draw("So:\n\n```python\nx = 1\n\ny")).split("\n")
    assert [line.rstrip() for line in lines] == ["So:", "", " x = 1", "", " y"]


def test_a_long_list_and_long_code_grow_by_pieces_and_nothing_is_lost() -> None:
    items = "".join(f"- item {number} of the list\n" for number in range(200))
    code = "".join(f"x_{number} = {number}\n" for number in range(300))
    reply = f"# Title\n\n{items}\nSo:\n\n````python\n{code}````\n\nThe end."
    growing = GrowingMarkdown(CANVAS)
    for end in range(0, len(reply) + 1, 97):
        growing.draw(reply[:end])
    lines = [line.strip() for line in text_of(growing.draw(reply)).split("\n")]
    assert [line for line in lines if "item" in line] == [
        f"• item {number} of the list" for number in range(200)
    ]
    assert [line for line in lines if line.startswith("x_")] == code.splitlines()
    assert lines[-1] == "The end."


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["word " * 90, "- item\n", "```py\n", "```\n", "x\n" * 400, "\n"])))
def test_pieces_join_to_the_part_and_only_the_last_may_change(chunks: list[str]) -> None:
    part = "".join(chunks)
    pieces = pieces_of(part)
    assert "".join(piece.text for piece in pieces) == part
    assert all(len(piece.text) <= 12_000 for piece in pieces)
    closed = pieces_of(part[: len(part) // 2])[:-1]
    assert pieces[: len(closed)] == closed


def test_long_output_is_folded_to_head_and_tail() -> None:
    call = ToolCall(id="c", name="bash", arguments='{"command": "pytest"}')
    block = CallBlock(call=call, output=Output().plus(TEST_OUTPUT), done=True, exit_code=1)
    folded = text_of(draw_block(block, CANVAS, is_open=False))
    assert "… 10 more lines" in folded
    assert "1 failed" in folded
    assert "✗ exit 1" in folded
    assert "test_case_5" not in folded
    assert "test_case_5" in text_of(draw_block(block, CANVAS, is_open=True))


def test_a_long_output_is_opened_without_drawing_what_is_not_looked_at() -> None:
    words = "".join(f"{n} \x1b[32mpassed\x1b[0m {'漢字' * (n % 40)}\tend\n" for n in range(3_000))
    block = CommandBlock(command="x", output=Output().plus(words), done=True, exit_code=0)
    lines = draw_block(block, CANVAS, is_open=True)
    assert isinstance(lines, LazyLines)
    assert len(lines) > 3_000
    text = text_of(list(lines))
    assert all(sum(segment.cell_length for segment in line) <= 60 for line in lines)
    assert all(f"{number} passed" in text for number in range(0, 3_000, 7))
    assert lines[-1] == lines[len(lines) - 1] == []


def test_a_pasted_megabyte_is_folded_and_counted_without_drawing_it() -> None:
    block = UserBlock(text="\n".join(["line of a paste"] * 60_000))
    *_, more = text_of(draw_block(block, CANVAS, is_open=False)).split("\n")
    assert more == "… 59,980 more lines"
    opened = draw_block(block, CANVAS, is_open=True)
    assert isinstance(opened, LazyLines)
    assert len(opened) == 60_001


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "vt100"}, False),
        ({"TERM": "vt100", "COLORTERM": "truecolor"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, False),
        ({}, True),
    ],
)
def test_colours_are_left_out_where_person_or_terminal_says_no(
    environ: dict[str, str], wanted: bool
) -> None:
    assert wants_colour(environ) is wanted


def test_a_patch_is_read_file_by_file() -> None:
    (file,) = files_of_patch(PATCH)
    assert (file.path, file.num_added, file.num_removed) == ("intervals/merge.py", 1, 1)
    assert [line.number for line in file.lines if line.kind == "added"] == [10]
    two = files_of_patch(PATCH + PATCH.replace("merge.py", "gaps.py"))
    assert [file.path for file in two] == ["intervals/merge.py", "intervals/gaps.py"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_patch_and_any_edit_can_be_drawn(old: str, new: str) -> None:
    files_of_patch(old + new)
    diff_of_texts("a.py", old, new)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["up", "down", "page", "end", "top", "open", "more"]), max_size=12))
def test_the_view_never_leaves_the_conversation_and_draws_all_it_shows(moves: list[str]) -> None:
    conversation = Conversation()
    events = itertools.cycle(demo_events())
    drawn = DrawnBlocks(CANVAS)
    view = Viewport(drawn)
    view.height = 10
    for move in ["more", *moves]:
        match move:
            case "more":
                for event in itertools.islice(events, 60):
                    conversation.apply(event)
                drawn.set_blocks(conversation.blocks, conversation.take_changes())
                view.settle()
            case "open":
                view.toggle(drawn.layout.block_at(view.top))
            case _:
                steps = {"up": -3, "down": 3, "page": -9, "end": 10_000, "top": -10_000}
                view.scroll_to(view.top + steps[move])
        assert 0 <= view.top <= view.max_top
        for line in range(view.top, min(view.top + view.height, drawn.layout.num_lines)):
            assert drawn.is_drawn(drawn.layout.block_at(line))


def test_scrolling_up_over_estimates_moves_by_what_was_asked() -> None:
    conversation = Conversation()
    for _ in range(20):
        for event in demo_events():
            conversation.apply(event)
    drawn = DrawnBlocks(CANVAS)
    drawn.set_blocks(conversation.blocks, 0)
    view = Viewport(drawn)
    view.height = 10
    view.settle()
    for _ in range(50):
        index = drawn.layout.block_at(view.top)
        row = view.top - drawn.layout.top(index)
        view.scroll_to(view.top - 2)
        assert drawn.layout.top(index) + row - view.top == 2  # the same line, two rows lower


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_theme_can_be_read(theme: object) -> None:
    assert theme in THEMES
    palette = palette_of(theme)  # pyright: ignore[reportArgumentType]
    if theme is PLAIN:
        styles = [palette.text, palette.dim, palette.accent, palette.error, palette.added]
        assert all(style.color is None and style.bgcolor is None for style in styles)
        return
    background = Color.parse(theme.to_color_system().generate()["background"])  # pyright: ignore
    for style in (palette.text, palette.accent, palette.success, palette.warning, palette.error):
        assert isinstance(style.color, RichColor)
        assert contrast(Color.from_rich_color(style.color), background) >= 4.5
    assert palette.dim.color is not None
    assert contrast(Color.from_rich_color(palette.dim.color), background) >= 4.5


def contrast(one: Color, other: Color) -> float:
    """Of WCAG 2: 4.5 is what text needs."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: Color) -> float:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(value) for value in color.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
