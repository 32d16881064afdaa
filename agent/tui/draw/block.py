"""One block as lines: the ``match`` over kinds, and the kinds that take a few lines to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, assert_never

from rich.style import Style
from rich.text import Text

from rnj_agent.agent.tui.blocks import (
    Block,
    CallBlock,
    ChangesBlock,
    CommandBlock,
    CompactionBlock,
    DeliveredBlock,
    EndBlock,
    NoticeBlock,
    ReasoningBlock,
    ReplyBlock,
    StartBlock,
    ToldBlock,
    UserBlock,
    VerificationBlock,
)
from rnj_agent.agent.tui.draw.call import BAR, draw_call, draw_command, draw_verification
from rnj_agent.agent.tui.draw.canvas import Canvas, Line
from rnj_agent.agent.tui.draw.diff import draw_diff, files_of_patch
from rnj_agent.agent.tui.draw.lazy_lines import LazyLines
from rnj_agent.agent.tui.written_call import before_tags, with_fences_on_lines
from rnj_agent.agent.wording import counted, describe_compaction, describe_end, printable

if TYPE_CHECKING:
    from rnj_agent.agent.tui.draw.markdown import GrowingMarkdown

_FOLDED_LINES: Final = 3
"""Of the model's reasoning and of what it was told."""
_FOLDED_USER_LINES: Final = 20
_LAZY_CHARS: Final = 20_000
"""Words that are longer are drawn by the lines in view, once they are opened."""


def draw_block(
    block: Block, canvas: Canvas, *, is_open: bool, growing: GrowingMarkdown | None = None
) -> Sequence[Line]:
    """Lines no wider than the canvas.

    Args:
        block: what to draw.
        canvas: width and palette.
        is_open: whether the person has unfolded it.
        growing: where a reply that is still being written keeps what it drew before.
    """
    palette = canvas.palette
    match block:
        case CallBlock():
            return draw_call(block, canvas, is_open=is_open)
        case CommandBlock():
            return draw_command(block, canvas, is_open=is_open)
        case ChangesBlock():
            return _draw_changes(block, canvas, is_open=is_open)
        case VerificationBlock():
            return draw_verification(block, canvas, is_open=is_open)
        case ReplyBlock():
            return _draw_reply(block, canvas, growing)
        case UserBlock():
            most = None if is_open else _FOLDED_USER_LINES
            return _draw_words(block.text, palette.user, canvas, most)
        case ReasoningBlock() | ToldBlock():
            most = None if is_open else _FOLDED_LINES
            lead = "thought: " if isinstance(block, ReasoningBlock) else "told the model: "
            return _draw_words(lead + block.text.strip(), palette.dim, canvas, most)
        case StartBlock() | NoticeBlock() | CompactionBlock() | DeliveredBlock() | EndBlock():
            return canvas.lines(_line(block, canvas))
        case _:
            assert_never(block)


def _draw_reply(block: ReplyBlock, canvas: Canvas, growing: GrowingMarkdown | None) -> list[Line]:
    from rnj_agent.agent.tui.draw.markdown import GrowingMarkdown  # not needed for an empty screen

    return (growing or GrowingMarkdown(canvas)).draw(with_fences_on_lines(before_tags(block.text)))


def can_open(block: Block) -> bool:
    """Whether opening it may show more."""
    return isinstance(
        block,
        CallBlock
        | CommandBlock
        | ChangesBlock
        | VerificationBlock
        | ReasoningBlock
        | ToldBlock
        | UserBlock,
    )


def estimate_height(block: Block, width: int) -> int:
    """About how many lines it takes, without drawing it; used until it comes into view."""
    match block:
        case ReplyBlock() | UserBlock():
            text = block.text
            return 1 + len(text) // max(1, width) + text.count("\n")
        case CallBlock() | CommandBlock():
            num_lines = (block.output.head or block.content).count("\n") + 1
            return 2 + min(num_lines, 9)
        case ReasoningBlock() | ToldBlock():
            return 3
        case _:
            return 1


def text_of(block: Block) -> str:
    """What copying the block puts on the clipboard."""
    match block:
        case CallBlock() | CommandBlock():
            return block.output.text or block.content
        case VerificationBlock():
            return block.output
        case EndBlock():
            return block.event.answer or block.event.detail
        case StartBlock():
            return block.event.session_id
        case ChangesBlock():
            return block.event.patch
        case DeliveredBlock():
            return block.event.detail
        case CompactionBlock():
            return ""
        case _:
            return block.text


def _draw_changes(block: ChangesBlock, canvas: Canvas, *, is_open: bool) -> list[Line]:
    palette = canvas.palette
    files = files_of_patch(block.event.patch)
    names = ", ".join(printable(file.path) for file in files[:4]) + (" …" if len(files) > 4 else "")
    added, removed = sum(f.num_added for f in files), sum(f.num_removed for f in files)
    header = Text.assemble(
        (f"{counted(block.event.num_files, 'file')} changed ", palette.dim),
        (f"+{added} ", palette.success),
        (f"-{removed} ", palette.error),
        (names, palette.dim),
    )
    lines = [canvas.cropped(header)]
    if is_open:
        bar = Text(BAR, style=palette.dim)
        for file in files:
            lines.append(
                canvas.cropped(Text(printable(file.path), style=palette.heading), prefix=bar)
            )
            lines += draw_diff(file, canvas, prefix=bar)
    return lines


def _draw_words(text: str, style: Style, canvas: Canvas, most: int | None) -> Sequence[Line]:
    """Words of any length: folded, no more is wrapped than is shown; a long paste, what is seen."""
    text = printable(text)
    if most is None and len(text) > _LAZY_CHARS:
        return LazyLines([], text, canvas, bar=Text())
    head = text if most is None else _head(text, num_lines=most + 2, width=canvas.width)
    lines = canvas.lines(Text(head, style=style))
    if most is None or (len(lines) <= most + 1 and head == text):
        return lines
    num_hidden = len(lines) - most + text.count("\n", len(head))
    more = Text(f"… {num_hidden:,} more lines", style=canvas.palette.dim)
    return [*lines[:most], canvas.cropped(more)]


def _head(text: str, *, num_lines: int, width: int) -> str:
    """As much of a text as may be needed to fill so many lines; short words can be narrow."""
    if len(text) <= (most := num_lines * width * 2):
        return text
    return "\n".join(text[:most].split("\n")[: num_lines + 1])


def _line(
    block: StartBlock | NoticeBlock | CompactionBlock | DeliveredBlock | EndBlock, canvas: Canvas
) -> Text:
    palette = canvas.palette
    match block:
        case StartBlock(event=start):
            words = (
                f"{start.model} · window {start.context_window:,} · sandbox {start.sandbox} · "
                f"session {start.session_id}"
            )
            return Text(printable(words), style=palette.dim)
        case NoticeBlock():
            styles = {"info": palette.dim, "warning": palette.warning, "error": palette.error}
            sign = {"info": "·", "warning": "!", "error": "✗"}[block.level]
            return Text(f"{sign} {printable(block.text)}", style=styles[block.level])
        case CompactionBlock(event=event):
            words = f"! the window ran tight: {describe_compaction(event)}"
            return Text(words, style=palette.warning)
        case DeliveredBlock(event=delivered):
            return Text(f"✓ {printable(delivered.detail)}", style=palette.success)
        case EndBlock(event=end) if end.reason == "answered":
            tokens = end.num_prompt_tokens + end.num_completion_tokens
            words = f"{counted(end.num_steps, 'step')} · {end.duration_s:.0f} s · {tokens:,} tokens"
            return Text(words, style=palette.dim)
        case EndBlock(event=end):
            good = end.reason in {"submitted", "answered"} and end.verified is not False
            style = palette.success if good else palette.warning
            return Text(f"{'✓' if good else '✗'} {printable(describe_end(end))}", style=style)
