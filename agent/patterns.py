"""What a person allows for a session with one "always": the beginnings of commands.

Allowed is a command line whose every part either only reads or begins like one that was allowed.
Where a beginning says nothing about what the rest does (``sudo``, ``bash -c``, ``xargs``), or where
the part is known to be dangerous, only the very same part is allowed again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.messages import ToolCall
from rnj_agent.tools.danger import Grade, Grading, grade_command
from rnj_agent.tools.shell_words import SimpleCommand, UnreadableCommandError, split_commands


@dataclass(frozen=True, slots=True, order=True)
class Pattern:
    tool: str
    words: tuple[str, ...]
    """The first words of a command; all of them where it is ``exact``."""
    exact: bool = False

    def __str__(self) -> str:
        """As the person reads it: ``git commit …``."""
        text = " ".join(self.words) or self.tool
        return text if self.exact or not self.words else f"{text} …"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPAQUE: Final = _names(
    "sudo doas env xargs nohup time timeout nice stdbuf command builtin exec setsid eval "
    "source . bash sh dash zsh ksh find ssh"
)
"""What they run is in their arguments."""
_KEYWORDS: Final = _names("if then elif else fi while until do done for case esac ! { } time")
_WITH_VERBS: Final = _names(
    "git npm yarn pnpm npx cargo go uv uvx pip pip3 poetry pdm hatch make just docker podman "
    "kubectl gh bundle rails dotnet mvn gradle apt apt-get brew conda tox nox"
)
"""The first argument says what it does."""


def patterns_of(call: ToolCall, grading: Grading) -> tuple[Pattern, ...]:
    """What allowing this call always would allow; empty where there is nothing but the call itself
    to be remembered, or it must never be.
    """
    if grading.grade >= Grade.DESTRUCTIVE:
        return ()
    if call.name != "bash":
        return (Pattern(call.name, ()),)
    found = {_pattern(part): None for part in _parts(call) if not _only_reads(part)}
    return () if None in found else tuple(pattern for pattern in found if pattern is not None)


def allows(allowed: Set[Pattern], call: ToolCall) -> bool:
    """Whether all parts of the call are covered."""
    if call.name != "bash":
        return Pattern(call.name, ()) in allowed
    parts = _parts(call)
    return bool(parts) and all(_only_reads(part) or _pattern(part) in allowed for part in parts)


def _parts(call: ToolCall) -> list[SimpleCommand]:
    try:
        return split_commands(json.loads(call.arguments)["command"])
    except (UnreadableCommandError, ValueError, KeyError, TypeError):
        return []


def _pattern(part: SimpleCommand) -> Pattern | None:
    """None where a part like this cannot be told from others by its words."""
    words = tuple(word.text for word in part.words)
    if not words or part.writes or any("$(" in word or "`" in word for word in words):
        return None
    program = words[0].rpartition("/")[2]
    if program in _KEYWORDS or (program in _OPAQUE and part.piped_from is not None):
        return None
    if "=" in program or program in _OPAQUE or _grade(words) >= Grade.DANGEROUS:
        return Pattern("bash", words, exact=True)
    if program.startswith("python") and words[1:2] == ("-m",):
        return Pattern("bash", words[:3])
    if program in _WITH_VERBS and len(words) > 1 and not words[1].startswith("-"):
        return Pattern("bash", words[:2])
    if program.startswith(("python", "node", "ruby", "perl")):
        return Pattern("bash", words[:2]) if len(words) > 1 else None
    return Pattern("bash", words[:1])


def _only_reads(part: SimpleCommand) -> bool:
    return not part.writes and _grade(tuple(word.text for word in part.words)) is Grade.SAFE


def _grade(words: tuple[str, ...]) -> Grade:
    return grade_command(shlex.join(words)).grade
