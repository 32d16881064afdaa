"""Split a bash command line into simple commands with their places in the text.

This is no bash parser: it knows words, quotes, operators, redirections and substitutions, which
is what grading needs. Here-documents, arithmetic and functions raise, and their command is then
judged unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<space>(?:[ \t]|\\\n)+)
  | (?P<comment>(?<![^\s;&|()])\#[^\n]*)
  | (?P<heredoc><<)
  | (?P<redirect>\d*(?:&>>?|>>|>\||>&|<&|<>|>|<(?!\()))
  | (?P<operator>\|\||&&|;;|\|&|[|;&\n(){}](?=\s|$)|[|;&\n()])
  | (?P<word>(?:
        [^\s;&|<>()'"\\`$]+ | \\. | \$\((?!\() | \$\{[^}`$]*\} | \$(?![({]) | ` | [<>]\(
      | '[^']*' | "(?:[^"\\]|\\.)*" )+)
    """,
    re.VERBOSE | re.DOTALL,
)
_SUBSTITUTION = re.compile(r"\$\(|`|[<>]\(")


class UnreadableCommandError(ValueError):
    """The text holds something that this splitter does not know."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    """Without its quotes."""
    start: int
    end: int
    expands: bool
    """Whether bash puts something else in its place: a variable, a pattern, a substitution."""


@dataclass(slots=True)
class SimpleCommand:
    words: list[Word] = field(default_factory=list[Word])
    writes: list[Word] = field(default_factory=list[Word])
    """Targets of redirected output."""
    piped_from: SimpleCommand | None = None


def split_commands(text: str) -> list[SimpleCommand]:
    """Every simple command in the text, those inside substitutions too.

    Raises:
        UnreadableCommandError: unbalanced quotes, a here-document, arithmetic, a function.
    """
    commands = [SimpleCommand()]
    position, redirect = 0, ""
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup == "heredoc":
            raise UnreadableCommandError(text[position : position + 20])
        position = match.end()
        if match.lastgroup == "redirect":
            redirect = match.group()
        elif match.lastgroup == "operator":
            piped = commands[-1] if match.group() in {"|", "|&"} else None
            commands.append(SimpleCommand(piped_from=piped))
        elif match.lastgroup == "word":
            word, nested_at = _word(match)
            _add(commands[-1], word, redirect)
            redirect = ""
            if nested_at is not None:
                position = nested_at
                commands.append(SimpleCommand())
    return [command for command in commands if command.words or command.writes]


def _word(match: re.Match[str]) -> tuple[Word, int | None]:
    """The word, and where a command nested in it begins: reading goes on there."""
    raw, start = match.group(), match.start()
    nested = _SUBSTITUTION.search(_without_single_quotes(raw))
    if nested is None:
        expands = any(mark in _without_single_quotes(raw) for mark in "$*?[~")
        return Word(_unquoted(raw), start, match.end(), expands), None
    end = start + nested.end()
    inside_double_quotes = raw[: nested.start()].count('"') % 2 == 1
    if inside_double_quotes:  # its closing quote would be read as an opening one
        raise UnreadableCommandError(raw[:20])
    return Word(_unquoted(raw[: nested.end()]), start, end, True), end


def _add(command: SimpleCommand, word: Word, redirect: str) -> None:
    if not redirect:
        command.words.append(word)
    elif ">" in redirect and not (redirect.endswith("&") and word.text.isdigit()):
        command.writes.append(word)


def _without_single_quotes(raw: str) -> str:
    return re.sub(r"'[^']*'|\\.", lambda quoted: "_" * len(quoted.group()), raw, flags=re.DOTALL)


def _unquoted(raw: str) -> str:
    """The word's text as bash would hand it on, expansions aside."""
    return re.sub(
        r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)",
        lambda part: next((text for text in part.groups() if text is not None), ""),
        raw,
        flags=re.DOTALL,
    )
