"""Takes tool calls out of a reply as it streams: hermes form, as Rnj-1 and Qwen2.5 write it.

``<tool_call>`` + a JSON object with ``name`` and ``arguments`` + ``</tool_call>``. Text passes
through as soon as it cannot begin a call. Small slips in the JSON are mended; what is no call stays
text, so that the agent sees it and can answer. The parts do not depend on how the reply was cut
into chunks.

Not here: other wrappers (a fenced JSON object); the agent reads those out of the text.
"""

from __future__ import annotations

import json
import re
from typing import Literal

from rnj_agent.runtime.call_json import is_inside_string, read_call, strict_call
from rnj_agent.runtime.reply_parts import (
    CallArguments,
    CallPart,
    CallStart,
    Part,
    TextPart,
    collect,
)

# who reads calls needs the parts too
__all__ = [
    "CLOSE",
    "OPEN",
    "CallArguments",
    "CallPart",
    "CallStart",
    "GuidedCallParser",
    "Part",
    "TextPart",
    "ToolCallParser",
    "collect",
]

OPEN = "<tool_call>"
CLOSE = "</tool_call>"
MAX_QUOTED_CLOSES = 16
"""Close tags inside one JSON string before the string is taken for unterminated."""

_HEAD = re.compile(
    r'\s*\{\s*"name"\s*:\s*("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")'
    r'\s*,\s*"arguments"\s*:\s*(?=\{)'
)
"""What comes before the arguments of a call."""


class ToolCallParser:
    def __init__(self) -> None:
        self.num_complete_calls = 0
        self._buffer = ""
        """Text whose meaning is open."""
        self._scan_from = 0
        """Inside a call: where in the buffer to look for the next close tag."""
        self._num_quoted_closes = 0
        self._after_call = False
        """Whitespace between calls is layout, not something said."""

    def feed(self, text: str) -> list[Part]:
        self._buffer += text
        return _merged(self._take())

    def finish(self) -> list[Part]:
        """The rest, when the reply has ended. A complete call needs no close tag then."""
        return _merged(self._take(at_end=True))

    def _take(self, *, at_end: bool = False) -> list[Part]:
        parts: list[Part] = []
        while True:
            size = len(self._buffer)
            if self._buffer.startswith(OPEN):
                parts += self._take_call(at_end=at_end)
            else:
                parts += self._take_text(at_end=at_end)
            if len(self._buffer) == size:
                return parts

    def _take_text(self, *, at_end: bool) -> list[Part]:
        """Text up to the next open tag, or up to what may become one."""
        start = self._buffer.find(OPEN)
        if start < 0:
            start = len(self._buffer) - (0 if at_end else _overlap(self._buffer, OPEN))
        text = self._buffer[:start]
        if self._after_call and not text.strip():
            if at_end or self._buffer.startswith(OPEN, start):
                self._buffer = self._buffer[start:]
            return []
        return self._text(start)

    def _take_call(self, *, at_end: bool) -> list[Part]:
        body = self._buffer[len(OPEN) :].lstrip()
        if body and not _may_be_object(body, at_end=at_end):
            return self._text(len(OPEN))
        while (close := self._find_close()) >= 0:
            body = self._buffer[len(OPEN) : close]
            if is_inside_string(body) and self._num_quoted_closes < MAX_QUOTED_CLOSES:
                self._num_quoted_closes += 1
                self._scan_from = close + len(CLOSE)
                continue
            return self._close_call(body, close + len(CLOSE))
        return self._end_call() if at_end else []

    def _find_close(self) -> int:
        close = self._buffer.find(CLOSE, max(self._scan_from, len(OPEN)))
        if close < 0:
            self._scan_from = max(self._scan_from, len(self._buffer) - len(CLOSE) + 1)
        return close

    def _close_call(self, body: str, end: int) -> list[Part]:
        call = read_call(body)
        if call is None:
            return self._text(end)
        self._buffer = self._buffer[end:]
        self._reset_call(after_call=True)
        self.num_complete_calls += 1
        return [call]

    def _end_call(self) -> list[Part]:
        """No close tag any more. A cut-off call is never mended: half a command must not run."""
        call = strict_call(self._buffer[len(OPEN) :])
        if call is None:
            first_close = self._buffer.find(CLOSE)
            return self._text(first_close + len(CLOSE) if first_close >= 0 else len(self._buffer))
        self._buffer = ""
        self._reset_call(after_call=True)
        self.num_complete_calls += 1
        return [call]

    def _text(self, size: int) -> list[Part]:
        text, self._buffer = self._buffer[:size], self._buffer[size:]
        if not text:
            return []
        self._reset_call(after_call=False)
        return [TextPart(text)]

    def _reset_call(self, *, after_call: bool) -> None:
        self._scan_from = 0
        self._num_quoted_closes = 0
        self._after_call = after_call


class GuidedCallParser:
    """For replies whose calls a grammar holds to their form: arguments pass as they come.

    A call that is cut off keeps the pieces it had; one that is cut before its name is whole stays
    text.
    """

    def __init__(self) -> None:
        self.num_complete_calls = 0
        self._buffer = ""
        self._place: Literal["text", "head", "arguments", "tail"] = "text"
        self._arguments = _ObjectEnd()
        self._after_call = False

    def feed(self, text: str) -> list[Part]:
        self._buffer += text
        parts: list[Part] = []
        while True:
            before = self._place, len(self._buffer)
            parts += self._take()
            if (self._place, len(self._buffer)) == before:
                return _merged(parts)

    def finish(self) -> list[Part]:
        """The rest, when the reply has ended."""
        rest, self._buffer = self._buffer, ""
        if self._place == "head":
            return [TextPart(OPEN + rest)]
        is_said = self._place == "text" and (rest.strip() or not self._after_call)
        return [TextPart(rest)] if rest and is_said else []

    def _take(self) -> list[Part]:
        match self._place:
            case "text":
                return self._take_text()
            case "head":
                return self._take_head()
            case "arguments":
                return self._take_arguments()
            case "tail":
                return self._take_tail()

    def _take_text(self) -> list[Part]:
        text, tag, rest = self._buffer.partition(OPEN)
        if not tag:
            size = len(text) - _overlap(text, OPEN)
            text, rest = text[:size], text[size:]
        is_layout = self._after_call and not text.strip()
        if is_layout and not tag:
            return []
        self._buffer = rest
        if tag:
            self._place = "head"
        if is_layout or not text:
            return []
        self._after_call = False
        return [TextPart(text)]

    def _take_head(self) -> list[Part]:
        head = _HEAD.match(self._buffer)
        if head is None:
            return []
        self._buffer = self._buffer[head.end() :]
        self._place = "arguments"
        self._arguments = _ObjectEnd()
        return [CallStart(json.loads(head[1]))]

    def _take_arguments(self) -> list[Part]:
        end = self._arguments.find(self._buffer)
        if end >= 0:
            self._place = "tail"
        size = end if end >= 0 else len(self._buffer)
        text, self._buffer = self._buffer[:size], self._buffer[size:]
        return [CallArguments(text)] if text else []

    def _take_tail(self) -> list[Part]:
        _, tag, rest = self._buffer.partition(CLOSE)
        if tag:
            self._buffer = rest
            self._place = "text"
            self._after_call = True
            self.num_complete_calls += 1
        return []


class _ObjectEnd:
    """Finds the end of a JSON object that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def find(self, piece: str) -> int:
        """Position after the brace that closes the object; -1 where it is not in this piece."""
        for position, character in enumerate(piece):
            if self._in_string:
                self._follow_string(character)
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return position + 1
        return -1

    def _follow_string(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_string = False


def _may_be_object(body: str, *, at_end: bool) -> bool:
    """A call begins with an object, maybe in a fence."""
    if body.startswith(("{", "```")):
        return True
    return not at_end and "```".startswith(body)


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of ``text`` that begins ``tag``."""
    return next(
        (size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])),
        0,
    )


def _merged(parts: list[Part]) -> list[Part]:
    """Neighbouring texts as one."""
    merged: list[Part] = []
    for part in parts:
        if merged and isinstance(part, TextPart) and isinstance(merged[-1], TextPart):
            merged[-1] = TextPart(merged[-1].text + part.text)
        else:
            merged.append(part)
    return merged
