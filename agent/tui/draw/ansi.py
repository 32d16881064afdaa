"""What a program wrote to its terminal, as styled lines: colours kept, all else harmless."""

from __future__ import annotations

import re
from typing import Final

from rich.ansi import AnsiDecoder
from rich.style import Style
from rich.text import Span, Text

_OTHER_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-ln-~]"  # cursor and screen: all but colours, which end in m
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, device strings
    r"|\x1b(?!\[)."
    r"|\x1b\[[0-?]*[ -/]*\Z"  # torn at the end
    r"|\x1b\Z"
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;:]*m")


def output_lines(output: str, *, has_colour: bool = True) -> list[Text]:
    """Lines as they stood at the end: a progress bar is one, in its last state."""
    lines = split_lines(output)
    if "\x1b" not in output and "\x9b" not in output:
        return [_plain(line) for line in lines]
    decoder = AnsiDecoder()
    decoded = [decoder.decode_line(_harmless(line)) for line in lines]
    return decoded if has_colour else [_without_colour(line) for line in decoded]


def split_lines(output: str) -> list[str]:
    """Lines as they stood at the end, with no escapes but colours; controls are still in them."""
    output = output.replace("\r\n", "\n").replace("\x9b", "\x1b[")
    if "\x1b" in output:
        output = _OTHER_ESCAPES.sub("", output)
    lines = output.removesuffix("\n").split("\n") if output else []
    if "\r" in output:
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return lines


def without_colours(line: str) -> str:
    return _COLOURS.sub("", line)


def _plain(line: str) -> Text:
    return Text(_CONTROLS.sub("", line).expandtabs(8), no_wrap=False)


def _harmless(line: str) -> str:
    """Without controls and without any escape that is no colour."""
    line = _CONTROLS.sub("", line).expandtabs(8)
    kept = _COLOURS.findall(line)
    words = [part.replace("\x1b", "") for part in _COLOURS.split(line)]
    return words[0] + "".join(colour + word for colour, word in zip(kept, words[1:], strict=True))


def _without_colour(line: Text) -> Text:
    spans = [
        Span(span.start, span.end, span.style.without_color)
        for span in line.spans
        if isinstance(span.style, Style)
    ]
    return Text(line.plain, spans=spans)
