"""Takes tool calls out of a reply as it streams: hermes form, as Rnj-1 and Qwen2.5 write it.

``<tool_call>`` + a JSON object with ``name`` and ``arguments`` + ``</tool_call>``. Text passes
through as soon as it cannot begin a call. Small slips in the JSON are mended; what is no call stays
text, so that the agent sees it and can answer. The parts do not depend on how the reply was cut
into chunks.

Not here: other wrappers (a fenced JSON object); the agent reads those out of the text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

OPEN = "<tool_call>"
CLOSE = "</tool_call>"
MAX_REPAIR_CHARS = 8192
"""json_repair takes quadratic time; longer broken calls go to the agent as text."""
MAX_QUOTED_CLOSES = 16
"""Close tags inside one JSON string before the string is taken for unterminated."""


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class CallPart:
    name: str
    arguments: str
    """JSON text of an object."""


Part: TypeAlias = TextPart | CallPart


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
            if _is_inside_string(body) and self._num_quoted_closes < MAX_QUOTED_CLOSES:
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
        call = _strict_call(self._buffer[len(OPEN) :])
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


def read_call(body: str) -> CallPart | None:
    """The call between the tags, mended where it takes little; None where it is none."""
    return _strict_call(body) or _mended_call(body)


def _strict_call(body: str) -> CallPart | None:
    """Valid JSON, but for line breaks inside strings."""
    try:
        return _as_call(_loads(body))
    except (ValueError, RecursionError):
        return None


def _mended_call(body: str) -> CallPart | None:
    if len(body) > MAX_REPAIR_CHARS or _is_inside_string(body) or _is_several(body):
        return None
    from json_repair import repair_json

    try:
        return _as_call(repair_json(body, return_objects=True))
    except (ValueError, IndexError, TypeError, RecursionError):
        return None


def _as_call(value: object) -> CallPart | None:
    """A call is an object with a name; its arguments an object, or an object as JSON text."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    name, arguments = fields.get("name"), fields.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _loads(arguments or "{}")
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return CallPart(name, _dumps(arguments)) if _is_utf8(name) else None


def _loads(text: str) -> object:
    return json.loads(text, strict=False, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _dumps(arguments: object) -> str:
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    # half of a surrogate pair can be written in JSON, but not sent as UTF-8
    return text if _is_utf8(text) else json.dumps(arguments)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_several(body: str) -> bool:
    """More than one object in one pair of tags: mending would drop all but one of them."""
    problem, at = _json_problem(body)
    # a brace too many is no second object
    return problem == "Extra data" and "{" in body[at:]


def _is_inside_string(body: str) -> bool:
    """Whether well-formed JSON breaks off inside a string, so that the tag is part of it."""
    return _json_problem(body)[0].startswith("Unterminated string")


def _json_problem(body: str) -> tuple[str, int]:
    """What keeps ``body`` from being JSON, and where; nothing where it is, or is beyond reading."""
    try:
        _loads(body)
    except json.JSONDecodeError as exc:
        return exc.msg, exc.pos
    except (ValueError, RecursionError):
        return "", 0
    return "", 0


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
