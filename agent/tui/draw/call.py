"""A tool's call: what was asked, what came of it, and its output, folded where it is long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from rich.text import Text

from rnj_agent.agent.messages import ToolCall
from rnj_agent.agent.tui.blocks import CallBlock, CommandBlock, VerificationBlock
from rnj_agent.agent.tui.draw.ansi import output_lines
from rnj_agent.agent.tui.draw.canvas import Canvas, Line
from rnj_agent.agent.tui.draw.diff import diff_of_texts, draw_diff
from rnj_agent.agent.tui.draw.lazy_lines import LazyLines
from rnj_agent.agent.wording import describe_call, printable

_HEAD_LINES: Final = 3
_TAIL_LINES: Final = 5
"""Of a folded output; one that is longer by a line only is shown whole."""
_MAX_COMMAND_LINES: Final = 8
_LIVE_CHARS: Final = 16_000
"""Of an output that is still growing and not opened, this much of its end is looked at."""
_LIVE_OPEN_CHARS: Final = 64_000
_LIVE_OPEN_LINES: Final = 200
_LAZY_CHARS: Final = 20_000
"""An output that is longer is drawn by the lines in view, once it is opened."""
BAR: Final = "│ "


def draw_call(block: CallBlock, canvas: Canvas, *, is_open: bool) -> Sequence[Line]:
    arguments = call_arguments(block.call)
    header = canvas.spread(
        _asked(block.call, arguments, canvas, is_open=is_open), _came(block, canvas)
    )
    repairs = [canvas.cropped(_dim(f"mended: {text}", canvas)) for text in block.repaired]
    if block.call.name == "edit" and not block.is_error:
        return [*header, *repairs, *_draw_edit(arguments, canvas, is_open=is_open)]
    if block.call.name == "write" and not block.done:
        shown = {**arguments, "old": "", "new": arguments.get("content", "")}
        return [*header, *repairs, *_draw_edit(shown, canvas, is_open=is_open)]
    if block.call.name == "submit" and block.done and not block.is_error:
        return [*header, *repairs]
    return _behind([*header, *repairs], _draw_result(block, canvas, is_open=is_open))


def draw_command(block: CommandBlock, canvas: Canvas, *, is_open: bool) -> Sequence[Line]:
    palette = canvas.palette
    asked = Text.assemble(("! ", palette.warning), (printable(block.command), palette.user))
    if not block.done:
        came = Text("running", style=palette.dim)
    elif block.exit_code is None:
        came = Text("interrupted", style=palette.warning)
    else:
        came = _exit(block.exit_code, block.duration_s, canvas)
    return _behind(canvas.spread(asked, came), _draw_result(block, canvas, is_open=is_open))


def draw_verification(block: VerificationBlock, canvas: Canvas, *, is_open: bool) -> Sequence[Line]:
    palette = canvas.palette
    when = {"before": "before any change", "during": "after a change", "after": "at the end"}
    asked = Text.assemble(("test ", palette.accent), (printable(block.command), palette.text))
    asked.append(f"  {when[block.phase]}", palette.dim)
    if not block.done:
        came = Text("running", style=palette.dim)
    elif block.passed:
        came = Text(f"✓ passed · {block.duration_s:.1f} s", style=palette.success)
    else:
        came = Text(
            f"✗ failed, exit {block.exit_code} · {block.duration_s:.1f} s", style=palette.error
        )
    header = canvas.spread(asked, came)
    if block.passed and not is_open:
        return header
    return _behind(header, _draw_output(block.output, canvas, is_open=is_open))


def call_arguments(call: ToolCall) -> dict[str, Any]:
    """The call's arguments; empty where they cannot be read."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return {}
    return cast(dict[str, Any], arguments) if isinstance(arguments, dict) else {}


def _asked(call: ToolCall, arguments: dict[str, Any], canvas: Canvas, *, is_open: bool) -> Text:
    palette = canvas.palette
    words = printable(describe_call(call))
    if call.name == "bash":
        lines = words.removeprefix("$ ").split("\n")
        if len(lines) > _MAX_COMMAND_LINES and not is_open:
            hidden = len(lines) - _MAX_COMMAND_LINES
            lines = [*lines[:_MAX_COMMAND_LINES], f"… {hidden} more lines"]
        return Text.assemble(("$ ", palette.accent), ("\n".join(lines), palette.text))
    if call.name == "edit" and isinstance(arguments.get("path"), str):
        verb = "edit " if arguments.get("old") else "create "
        return Text.assemble((verb, palette.accent), (printable(arguments["path"]), palette.text))
    if call.name == "write":
        path = str(arguments.get("path", "")) or "to where its definitions are"
        return Text.assemble(("write ", palette.accent), (printable(path), palette.text))
    name, _, rest = words.partition(" ")
    return Text.assemble((f"{name} ", palette.accent), (rest, palette.text))


def _came(block: CallBlock, canvas: Canvas) -> Text:
    palette = canvas.palette
    if not block.done:
        return Text("running", style=palette.dim)
    if block.is_error and not block.exit_code:
        return Text(f"✗ {block.duration_s:.1f} s", style=palette.error)
    return _exit(block.exit_code or 0, block.duration_s, canvas)


def _exit(exit_code: int, duration_s: float, canvas: Canvas) -> Text:
    if exit_code:
        return Text(f"✗ exit {exit_code} · {duration_s:.1f} s", style=canvas.palette.error)
    return Text(f"✓ {duration_s:.1f} s", style=canvas.palette.success)


def _draw_edit(arguments: dict[str, Any], canvas: Canvas, *, is_open: bool) -> list[Line]:
    path, old, new = (arguments.get(name, "") for name in ("path", "old", "new"))
    if not (isinstance(path, str) and isinstance(old, str) and isinstance(new, str)):
        return []
    bar = Text(BAR, style=canvas.palette.dim)
    lines = draw_diff(diff_of_texts(path, old, new), canvas, prefix=bar)
    most = 3 * (_HEAD_LINES + _TAIL_LINES)
    if is_open or len(lines) <= most:
        return lines
    more = Text(f"… {len(lines) - most + 1:,} more lines", style=canvas.palette.dim)
    return [*lines[: most - 1], canvas.cropped(more, prefix=bar)]


def _draw_result(
    block: CallBlock | CommandBlock, canvas: Canvas, *, is_open: bool
) -> Sequence[Line]:
    if block.done or not block.output.num_chars:
        # What a command's result says without output is its exit code: that is shown above.
        told = block.content if block.exit_code is None else ""
        text = block.output.text if block.output.num_chars else told
        return _draw_output(text, canvas, is_open=is_open)
    text = block.output.last_chars(_LIVE_OPEN_CHARS if is_open else _LIVE_CHARS)
    if block.output.num_chars <= len(text):
        return _draw_output(text, canvas, is_open=is_open)
    most = _LIVE_OPEN_LINES if is_open else _HEAD_LINES + _TAIL_LINES
    last = "\n".join(text.split("\n")[-most - 1 :])  # the rest is never decoded
    size = _dim(f"… {block.output.num_chars:,} characters so far", canvas)
    shown = output_lines(last, has_colour=canvas.palette.has_colour)[-most:]
    return _behind_bar([size, *shown], canvas, is_open=False)


def _draw_output(output: str, canvas: Canvas, *, is_open: bool) -> Sequence[Line]:
    """All of it, or its head and tail; nothing else is decoded."""
    has_colour = canvas.palette.has_colour
    bar = Text(BAR, style=canvas.palette.dim)
    if is_open and len(output) > _LAZY_CHARS:
        return LazyLines([], output, canvas, bar=bar)
    lines = output.removesuffix("\n").split("\n")
    num_hidden = len(lines) - _HEAD_LINES - _TAIL_LINES
    if is_open or num_hidden <= 1:
        return _behind_bar(output_lines(output, has_colour=has_colour), canvas, is_open=is_open)
    head, tail = "\n".join(lines[:_HEAD_LINES]), "\n".join(lines[-_TAIL_LINES:])
    gap = _dim(f"… {num_hidden:,} more lines", canvas)
    shown = [
        *output_lines(head, has_colour=has_colour),
        gap,
        *output_lines(tail, has_colour=has_colour),
    ]
    return _behind_bar(shown, canvas, is_open=False)


def _behind(before: Sequence[Line], lines: Sequence[Line]) -> Sequence[Line]:
    if isinstance(lines, LazyLines):
        return lines.behind(before)
    return [*before, *lines]


def _behind_bar(lines: list[Text], canvas: Canvas, *, is_open: bool) -> list[Line]:
    """Opened, long lines are wrapped; folded, they are cropped."""
    bar = Text(BAR, style=canvas.palette.dim)
    room = canvas.width - len(BAR)
    drawn: list[Line] = []
    for line in lines:
        if is_open and line.cell_len > room:
            drawn += canvas.lines(line, prefix=bar)
        else:
            drawn.append(canvas.cropped(line, prefix=bar))
    return drawn


def _dim(text: str, canvas: Canvas) -> Text:
    return Text(printable(text), style=canvas.palette.dim)
