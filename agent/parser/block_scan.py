"""Scan a reply, as it grows, for its first code block: a command to run, or code for a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rnj_agent.agent.parser.decode import to_json
from rnj_agent.agent.parser.found import BrokenCall, FoundCall
from rnj_agent.agent.parser.heredoc import in_heredoc, written_file
from rnj_agent.tools.syntax.errors import syntax_errors
from rnj_agent.tools.syntax.languages import suffix_of
from rnj_agent.tools.syntax.symbols import definitions

_OPENER: Final = re.compile(r"^[ \t]*(?P<fence>`{3,})(?P<info>[^`\n]*)\n", re.MULTILINE)
_COMMANDS: Final = frozenset({"bash", "sh", "shell", "console", "terminal", "zsh"})
_PATH: Final = re.compile(r"(?:[\w.@+-]+/)*[\w@+-][\w.@+-]*\.\w{1,8}|(?:[\w.@+-]+/)*[A-Z]\w+file")
_PATH_COMMENT: Final = re.compile(
    r"[ \t]*(?:#|//|--|;|/\*|<!--)[ \t]*(?:[Ff]ile(?:name)?:[ \t]*)?"
    rf"(?:\./)?(?P<path>{_PATH.pattern})[ \t]*(?:\*/|-->)?[ \t]*"
)
_DECORATION: Final = "*`#\"'>:()[] \t"
_PROGRAMS: Final = ("python", "javascript", "go", "rust", "java", "c", "cpp", "ruby", "php")
"""What is tried where a block that says that it is bash is none."""


class BlockScanner:
    """Feed it the pieces of one reply; it tells when the first block is complete.

    Args:
        needs_path: a block of code counts only where its file is named, or where it defines
            something: else, in an answer to a person, it is prose.
    """

    def __init__(self, *, needs_path: bool) -> None:
        self.text = ""
        self._needs_path = needs_path
        self._from = 0

    def feed(self, piece: str) -> FoundCall | BrokenCall | None:
        """The first call, as soon as its last character is there."""
        self.text += piece
        return self._scan(whole=False) if "`" in piece else None

    def finish(self, *, cut: bool) -> FoundCall | BrokenCall | None:
        """The reply is over; ``cut``: because its length was, so an open block is not run."""
        found = self._scan(whole=True)
        if cut and isinstance(found, FoundCall) and "no end" in found.repaired:
            return BrokenCall(end=len(self.text), why="it was cut off before its end")
        return found

    def _scan(self, *, whole: bool) -> FoundCall | None:
        while (opener := _OPENER.search(self.text, self._from)) is not None:
            body_end, end, closed = self._end(opener, whole=whole)
            if end < 0:
                return None
            found = self._read(opener, self.text[opener.end() : body_end], end, closed=closed)
            if found is not None:
                return found
            self._from = end
        return None

    def _end(self, opener: re.Match[str], *, whole: bool) -> tuple[int, int, bool]:
        """Where the body ends and where the block does; -1 where that is not known yet."""
        closing = re.compile(rf"^[ \t]*{opener['fence']}(?!`)", re.MULTILINE)
        for fence in closing.finditer(self.text, opener.end()):
            if not in_heredoc(self.text[opener.end() : fence.start()]):
                return fence.start(), fence.end(), True
        return (len(self.text), len(self.text), False) if whole else (-1, -1, False)

    def _read(
        self, opener: re.Match[str], body: str, end: int, *, closed: bool
    ) -> FoundCall | None:
        if not body.strip():
            return None
        words = opener["info"].strip().split(maxsplit=1)
        language, _, rest = (words[0] if words else "").partition(":")
        named = _path(rest or "".join(words[1:])) or _path(self._line_above(opener.start()))
        commented, body = _commented_path(body.strip("\n") + "\n")
        name, arguments, notes = _call(language.lower(), named or commented, body)
        if (
            name == "write"
            and not arguments["path"]
            and self._needs_path
            and not _defines(arguments)
        ):
            return None
        return FoundCall(
            start=opener.start(),
            end=end,
            name=name,
            arguments=to_json(arguments),
            is_block=True,
            repaired=(*notes, *(() if closed else ("no end",))),
        )

    def _line_above(self, start: int) -> str:
        lines = self.text[:start].rstrip().splitlines()
        return lines[-1] if lines else ""


def _commented_path(body: str) -> tuple[str, str]:
    """The file that the first line names in a comment, and the body without that line."""
    first, _, rest = body.partition("\n")
    found = _PATH_COMMENT.fullmatch(first)
    if found is None or not rest.strip():
        return "", body
    return found["path"].removeprefix("./"), rest.lstrip("\n")


def _call(language: str, path: str, body: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """What a block asks for: the tool's name, its arguments, and what had to be mended."""
    if language in _COMMANDS or (not language and not path):
        written = written_file(body)
        if written is not None:
            return "write", {"path": written[0], "content": written[1], "language": ""}, ()
        program = _program(body)
        if not program:
            return "bash", {"command": body.strip("\n")}, ()
        notes = (f"{program} in a bash block",)
        return "write", {"path": path, "content": body, "language": program}, notes
    return "write", {"path": path, "content": body, "language": language}, ()


def _defines(written: Mapping[str, str]) -> bool:
    """Whether the code has a definition that may be one of the repository's."""
    suffix = suffix_of(written["language"])
    found = definitions(f"block{suffix}", written["content"].encode("utf-8", "replace"))
    return any(symbol.kind != "value" for symbol in found)


def _program(body: str) -> str:
    """The language of a block that is no shell command but defines something; else empty."""
    source = body.encode("utf-8", "replace")
    if not syntax_errors("block.sh", source):
        return ""
    for language in _PROGRAMS:
        path = f"block{suffix_of(language)}"
        if definitions(path, source) and not syntax_errors(path, source):
            return language
    return ""


def _path(line: str) -> str:
    """The file that a line names and does little else; empty where it does not."""
    words = [word.strip(_DECORATION) for word in line.split()]
    named = [word.removeprefix("./") for word in words if _PATH.fullmatch(word.removeprefix("./"))]
    return named[-1] if named else ""
