"""What a call did, as far as its command line tells: it decides which lines of a result stay.

A guess from the first command of a line. A wrong one costs a summary that says less, nothing else.
"""

from __future__ import annotations

import functools
import json
import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import Final, Literal, cast

from rnj_agent.agent.messages import ToolCall

Kind = Literal["read", "list", "search", "test", "edit", "other"]

_READERS: Final = frozenset({"cat", "nl", "head", "tail", "less", "more", "bat"})
_WHOLE_READERS: Final = frozenset({"cat", "nl", "bat"})
_LISTERS: Final = frozenset({"ls", "find", "tree", "fd", "du"})
_SEARCHERS: Final = frozenset({"grep", "egrep", "fgrep", "rg", "ag", "ack"})
_TESTS: Final = re.compile(
    r"\b(?:pytest|py\.test|unittest|tox|nox|jest|mocha|vitest|ava|rspec|phpunit|ctest|prove)\b"
    r"|\b(?:go|cargo|npm|yarn|pnpm|bun|deno|mvn|gradlew?|dotnet|make|mix|swift|sbt|bazel|rake)"
    r"\s+(?:run\s+)?(?:test|check)\b"
    r"|\s--test\b|(?:^|[\s/])\w*tests?[/._-][\w./-]*"
)
_WRITTEN: Final = re.compile(
    r"(?<![0-9&<>])>{1,2}\s*([\w.~][\w./~+-]*)|\btee\s+(?:-a\s+)?([\w./-]+)"
)
_MAX_READ_CHARS: Final = 1000
"""Of a command: behind that, it is the text of a file."""
_SEPARATORS: Final = re.compile(r"\s*(?:&&|\|\||;|\n)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    kind: Kind
    text: str
    """The call as it was written: the same text does the same."""
    path: str = ""
    """Of the file that was read or edited."""
    is_whole: bool = False
    """Of a read: all of the file."""
    written: tuple[str, ...] = ()
    """Paths of files that it wrote."""

    def covers(self, earlier: Deed) -> bool:
        """Whether it shows anew what the earlier one showed."""
        if earlier.kind == "edit" or self.kind != earlier.kind:
            return False
        return self.text == earlier.text or (self.is_whole and same_file(self.path, earlier.path))


@functools.lru_cache(maxsize=1024)  # each compaction asks for the same ones again
def deed_of(call: ToolCall | None) -> Deed:
    """What a call did; None: what the person ran."""
    if call is None:
        return Deed(kind="other", text="")
    text = f"{call.name} {call.arguments}"
    try:
        arguments: object = json.loads(call.arguments)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return Deed(kind="other", text=text)
    texts = {
        name: value
        for name, value in cast(dict[str, object], arguments).items()
        if isinstance(value, str)
    }
    if call.name == "bash":
        return _of_command(next(iter(texts.values()), ""), text)
    if call.name in {"edit", "write"}:
        path = next((value for name, value in texts.items() if names_a_file(name)), "")
        return Deed(kind="edit", text=text, path=path, written=(path,))
    return Deed(kind="other", text=text)


def names_a_file(argument: str) -> bool:
    """Whether a tool's argument of this name is a path."""
    return "path" in argument or argument in {"file", "filename"}


def same_file(one: str, other: str) -> bool:
    """Whether two paths may name one file: commands run in different folders."""
    one, other = posixpath.normpath(one), posixpath.normpath(other)
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _of_command(command: str, text: str) -> Deed:
    command = command[:_MAX_READ_CHARS]
    written = tuple(
        path
        for match in _WRITTEN.finditer(command)
        if (path := match[1] or match[2]) and not path.startswith("/dev/")
    )
    words = _first_words(command)
    program = posixpath.basename(words[0]) if words else ""
    path = next((word for word in words[:0:-1] if not word.startswith("-")), "")
    if program == "sed" and any(word.startswith(("-i", "--in-place")) for word in words):
        return Deed(kind="edit", text=text, path=path, written=(*written, path))
    if (program in _READERS and not written) or words[:2] == ["sed", "-n"]:
        is_whole = program in _WHOLE_READERS and "|" not in command
        return Deed(kind="read", text=text, path=path, is_whole=is_whole)
    if program in _LISTERS or words[:2] == ["git", "ls-files"]:
        return Deed(kind="list", text=text)
    if program in _SEARCHERS or words[:2] == ["git", "grep"]:
        return Deed(kind="search", text=text)
    if _TESTS.search(command):
        return Deed(kind="test", text=text, written=written)
    kind: Kind = "edit" if written else "other"
    return Deed(kind=kind, text=text, path=written[0] if written else "", written=written)


def _first_words(command: str) -> list[str]:
    """Of the first command that does more than change the folder, up to a pipe."""
    for part in _SEPARATORS.split(command.strip()):
        try:
            words = shlex.split(part.partition("|")[0])
        except ValueError:  # a quote that is closed elsewhere
            words = part.partition("|")[0].split()
        if words and words[0] != "cd":
            return words
    return []
