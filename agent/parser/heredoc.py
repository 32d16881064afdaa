"""Here-documents in commands: where one is open, and a command that only writes a file by one."""

from __future__ import annotations

import re

_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?[ \t]*(?P<quote>['\"]?)(?P<word>[A-Za-z_]\w*)(?P=quote)")
_ONLY_WRITES = re.compile(
    r"\s*cat\s*(?:>\s*(?P<before>[\w./@+-]+)\s*<<-?\s*|<<-?\s*)(?P<quote>['\"]?)(?P<word>[A-Za-z_]\w*)"
    r"(?P=quote)\s*(?:>\s*(?P<after>[\w./@+-]+)\s*)?\n(?P<text>.*?\n)(?P=word)\s*",
    re.DOTALL,
)


def in_heredoc(command: str) -> bool:
    """Whether the command ends inside a here-document, as when it writes a Markdown file."""
    return any(
        heredoc["word"] not in map(str.strip, command[heredoc.end() :].splitlines())
        for heredoc in _HEREDOC.finditer(command)
    )


def written_file(command: str) -> tuple[str, str] | None:
    """Path and text where all that a command does is to write one file, word for word."""
    found = _ONLY_WRITES.fullmatch(command)
    if found is None or not found["quote"]:
        return None
    path = found["before"] or found["after"]
    return (path, found["text"]) if path else None
