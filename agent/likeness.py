"""When two calls are the same, or nearly so: what was done, and what came of it, made comparable.

Two calls that differ in white space, quotes, comments or in how many lines ``head`` and ``tail``
show are nearly the same, and so are two looks at one file, where their results hold the same lines.
Results are the same where they differ in durations, clock times, addresses and scratch folders
alone.

Not covered: commands that come to the same by other means, and outputs that differ a little. A
test run whose one line changed is progress.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.messages import ToolCall

_VOLATILE: Final = re.compile(
    r"\d+\.\d+ ?(?:s|ms|seconds)\b|\b(?:duration|elapsed|time)(?:_\w+)?[:=]? ?\d+\.\d+|"
    r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b|0x[0-9a-f]{6,}|/tmp/[\w./-]+"
)
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_QUOTES: Final = re.compile(r"['\"]")
_NUM_LINES: Final = re.compile(r"\b(head|tail)(?:\s+(?:-n\s*|--lines[= ])?[-+]?\d+\b)")
_LOOK: Final = re.compile(
    r"(?:(?:cat|head|tail|less|more|nl)(?: -\S+| \d+)*|sed -n \S+) "
    r"(?P<path>[^\s|<>;&*?-][^\s|<>;&*?]*)"
    r"(?: \| (?:cat|head|tail|less|more|nl)(?: -\S+| \d+)*)*"
)
_LINE_NUMBER: Final = re.compile(r"^\s*\d+\s*[:|\t ]")
_MAX_NAME_CHARS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One call, or reply without a call, with its result. Keys mean nothing beyond this process."""

    what: str
    """The beginning of a sentence: "`pytest -q` was run"."""
    key: int
    """The same for the same call with the same result."""
    near_key: int
    """The same for nearly the same call with nearly the same result."""
    is_error: bool = False


def deed_of_call(call: ToolCall, result: str, *, is_error: bool) -> Deed:
    command = _argument(call, "command") if call.name == "bash" else ""
    action, is_look = _near_command(command) if command else (_spaced(call.arguments), False)
    return Deed(
        what=_what(call, command),
        key=hash((call.name, call.arguments, _settled(result))),
        near_key=hash((call.name, action, _lines(result, numbered=is_look))),
        is_error=is_error,
    )


def deed_of_reply(said: str, told: str) -> Deed:
    """Of a reply without a call, and of what the model was told of it."""
    return Deed(
        what="This reply was given",
        key=hash((said, told)),
        near_key=hash((_spaced(said), told)),
        is_error=True,
    )


def same_failure(failure: str) -> str:
    """A failure of the tests without what moves when other lines change: where it happened."""
    return re.sub(r":\d+\b|\bline \d+\b", "", _spaced(_settled(failure)))


def _what(call: ToolCall, command: str) -> str:
    if command:
        line, *more = command.strip().split("\n")
        is_cut = bool(more) or len(line) > _MAX_NAME_CHARS
        return f"`{line[:_MAX_NAME_CHARS]}{' …' if is_cut else ''}` was run"
    if path := _argument(call, "path"):
        return f"This {call.name} of {path[:_MAX_NAME_CHARS]} was tried"
    return f"{call.name[:_MAX_NAME_CHARS]} was called"


def _argument(call: ToolCall, name: str) -> str:
    """Empty where there is no such text."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return ""
    value = arguments.get(name) if isinstance(arguments, dict) else None
    return value if isinstance(value, str) else ""


def _near_command(command: str) -> tuple[str, bool]:
    """The command as it is compared, and whether it only looks at one file."""
    bare = _spaced(_QUOTES.sub("", _COMMENT.sub("", command))).rstrip("; ")
    look = _LOOK.fullmatch(bare)
    if look is not None:
        return look["path"].removeprefix("./"), True
    return _NUM_LINES.sub(r"\1", bare), False


def _settled(result: str) -> str:
    return _VOLATILE.sub("", result)


def _lines(result: str, *, numbered: bool) -> frozenset[str]:
    lines = _settled(result).splitlines()
    if numbered:
        lines = [_LINE_NUMBER.sub("", line) for line in lines]
    return frozenset(filter(None, map(_spaced, lines)))


def _spaced(text: str) -> str:
    return " ".join(text.split())
