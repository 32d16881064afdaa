"""Scan a reply, as it grows, for its first call.

The forms, whichever begins first: JSON in ``<tool_call>`` tags, in a fence or bare; XML; a bash
block. Fences that hold other things, and JSON that is no call, are prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rnj_agent.agent.parser.decode import decode, to_json, value_end
from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.parser.heredoc import in_heredoc
from rnj_agent.agent.parser.normalise import (
    ARGUMENT_KEYS,
    NAME_KEYS,
    NamedCall,
    ToolNames,
    normalise,
    resolve_name,
)

_KEYS = "|".join({*NAME_KEYS, *ARGUMENT_KEYS, "type", "tool_call", "tool_calls", "function_call"})
_OPENER = re.compile(
    rf"""
    (?P<bash>```(?:bash|sh|shell|console)[ \t]*\r?\n)
  | (?P<xml><(?:function|invoke)(?:=|\s+name=)["']?(?P<xml_name>[\w.-]+)["']?\s*>)
  | (?P<tag><tool_call>\s*(?=[{{\[]))
  | (?P<json>\{{\s*["']?(?:{_KEYS}|TOOL_NAMES)["']?\s*:)
    """,
    re.VERBOSE,
)
_WRAPPER = re.compile(
    r"(?:<tool_call>|<tools>|<function_call>|\[TOOL_CALLS\]|<\|python_tag\|>|```[\w-]*|\[)\s*"
)
_TERMINATOR = re.compile(r"</tool_call>|</tools>|</function_call>|^[ \t]*```", re.MULTILINE)
_BASH_END = re.compile(r"\r?\n[ \t]*```|(?<=\n)```")
_XML_END = re.compile(r"</(?:function|invoke)>|</tool_call>")
_PARAMETER = re.compile(
    r"""<parameter(?:=|\s+name=)["']?(?P<key>\w+)["']?\s*>\n?(?P<value>.*?)"""
    r"""(?:\n?</parameter>|(?=<parameter[= ])|\Z)""",
    re.DOTALL,
)
_EMPTY_TAGS = re.compile(r"<tool_call>.*?</tool_call>", re.DOTALL)
_MAY_END_A_CALL = re.compile(r"[`>}\]]")


BashBlocks: TypeAlias = Literal["asked", "accepted", "prose"]
"""What a plain bash block is: the form asked for, a stray form of a call, or no call at all."""


@dataclass(frozen=True, slots=True)
class _Prose:
    """What looked like a call is none; scanning goes on behind it."""

    end: int


class CallScanner:
    """Feed it the pieces of one reply; it tells when the first call is complete."""

    def __init__(self, tools: ToolNames, *, bash_blocks: BashBlocks) -> None:
        self.text = ""
        self._tools = tools
        self._bash_blocks = bash_blocks
        names = "|".join(re.escape(name) for name in tools) or "(?!)"
        self._opener = re.compile(_OPENER.pattern.replace("TOOL_NAMES", names), re.VERBOSE)
        self._from = 0
        """No call begins before this."""

    def feed(self, piece: str) -> FoundCall | BrokenCall | None:
        """The first call, as soon as its last character is there."""
        self.text += piece
        return self._scan(whole=False) if _MAY_END_A_CALL.search(piece) else None

    def finish(self, *, cut: bool) -> FoundCall | BrokenCall | None:
        """The reply is over; ``cut``: because its length was, so an open call is not run."""
        found = self._scan(whole=True)
        if cut and isinstance(found, FoundCall) and "no end" in found.repaired:
            return BrokenCall(end=len(self.text), why="it was cut off before its end")
        if found is None and (empty := _EMPTY_TAGS.search(self.text, self._from)):
            return BrokenCall(end=empty.end(), why="there was no JSON in its tags")
        return found

    def _scan(self, *, whole: bool) -> FoundCall | BrokenCall | None:
        if (thinking := self._thinking(whole=whole)) is None:
            return None
        self._from = max(self._from, thinking)
        while (opener := self._opener.search(self.text, self._from)) is not None:
            found = self._read(opener, whole=whole)
            if not isinstance(found, _Prose):
                return found
            self._from = max(found.end, opener.start() + 1)
        return None

    def _thinking(self, *, whole: bool) -> int | None:
        """Where the reply proper begins: a call inside <think> is only a thought."""
        if not self.text.lstrip().startswith("<think>"):
            return 0
        end = self.text.find("</think>")
        return (end if end >= 0 else 0) if end >= 0 or whole else None

    def _read(
        self, opener: re.Match[str], *, whole: bool
    ) -> FoundCall | BrokenCall | _Prose | None:
        match opener.lastgroup:
            case "bash":
                return self._read_bash(opener, whole=whole)
            case "tag":
                return self._read_json(opener, opener.end(), whole=whole)
            case "json":
                return self._read_json(opener, opener.start(), whole=whole)
            case _:
                return self._read_xml(opener, whole=whole)

    def _read_bash(
        self, opener: re.Match[str], *, whole: bool
    ) -> FoundCall | BrokenCall | _Prose | None:
        close = self._bash_end(opener.end(), whole=whole)
        if close is None and not whole:
            return None
        body_end, end = (close.start(), close.end()) if close else (len(self.text),) * 2
        body = self.text[opener.end() : max(body_end, opener.end())]
        if self._opener.match(body.lstrip()):  # a call in a bash fence
            return _Prose(opener.end())
        if self._bash_blocks == "prose" or "bash" not in self._tools or not body.strip():
            return _Prose(end)
        return FoundCall(
            start=opener.start(),
            end=end,
            name="bash",
            arguments=to_json({"command": body.strip("\r\n")}),
            is_block=True,
            repaired=(
                *(("a bash block",) if self._bash_blocks == "accepted" else ()),
                *(() if close else ("no end",)),
            ),
        )

    def _bash_end(self, start: int, *, whole: bool) -> re.Match[str] | None:
        """The fence that closes the block: the first that is not inside a here-document."""
        fences = list(_BASH_END.finditer(self.text, start - 1))
        for fence in fences:
            if not in_heredoc(self.text[start : max(start, fence.start())]):
                return fence
        return fences[0] if fences and whole else None

    def _read_json(
        self, opener: re.Match[str], start: int, *, whole: bool
    ) -> FoundCall | BrokenCall | _Prose | None:
        wrapper = self._wrapper_start(start)
        tagged = "<tool_call>" in self.text[wrapper:start]
        end = value_end(self.text, start, whole=whole)
        closed = end is not None
        if end is None:
            stop = _TERMINATOR.search(self.text, start)
            if not whole and not (stop and stop.group().startswith("<")):
                return None  # a fence may stand inside a string that is still open
            end, closed = (stop.start(), True) if stop else (len(self.text), False)
        decoded = decode(self.text[start:end])
        call = normalise(decoded[0], self._tools, tagged=tagged) if decoded else None
        if decoded is None or call is None:
            return self._no_call(opener, start, end, tagged=tagged)
        how = _wrapping(self.text[wrapper:start].strip())
        notes = (*how, *decoded[1], *call.notes, *(() if closed else ("no end",)))
        return _found(call, wrapper, end, notes)

    def _no_call(
        self, opener: re.Match[str], start: int, end: int, *, tagged: bool
    ) -> BrokenCall | _Prose:
        looks_like_call = re.match(
            rf"\{{\s*[\"']?(?:name|function|tool)[\"']?\s*:\s*[\"']?(?:{'|'.join(self._tools)})\b",
            self.text[start:end],
        )
        if tagged or looks_like_call:
            return BrokenCall(end=end, why="its JSON could not be read")
        return _Prose(opener.end())

    def _wrapper_start(self, start: int) -> int:
        """Where the tag or fence right before ``start`` begins."""
        before = self.text[max(0, start - 80) : start]
        for wrapper in _WRAPPER.finditer(before):
            if _WRAPPER.sub("", before[wrapper.start() :]) == "":
                return start - len(before) + wrapper.start()
        return start

    def _read_xml(
        self, opener: re.Match[str], *, whole: bool
    ) -> FoundCall | BrokenCall | _Prose | None:
        close = _XML_END.search(self.text, opener.end())
        if close is None and not whole:
            return None
        end = close.start() if close else len(self.text)
        body = self.text[opener.end() : end]
        written = opener["xml_name"]
        name = resolve_name(written, self._tools) or written
        arguments = {field["key"]: field["value"] for field in _PARAMETER.finditer(body)}
        decoded = decode(body.strip()) if not arguments else None
        if decoded is not None and isinstance(decoded[0], dict):
            arguments = decoded[0]
        notes = ("in XML", *(() if close else ("no end",)))
        call = NamedCall(name, arguments)
        start = self._wrapper_start(opener.start())
        return _found(call, start, close.end() if close else end, notes)


def _wrapping(opening: str) -> tuple[str, ...]:
    if opening == "<tool_call>":
        return ()
    if opening.startswith("```"):
        return ("in a fence",)
    return (f"after {opening}" if opening else "without its tags",)


def _found(call: NamedCall, start: int, end: int, notes: tuple[str, ...]) -> FoundCall:
    return FoundCall(
        start=start, end=end, name=call.name, arguments=to_json(call.arguments), repaired=notes
    )
