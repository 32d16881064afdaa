"""Grade a shell command for approvals: what it could do to the machine it runs on.

A grade informs a question to the person; it is no protection. Protection is the sandbox.
What cannot be read is UNKNOWN, never SAFE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from rnj_agent.tools.shell_words import (
    SimpleCommand,
    UnreadableCommandError,
    Word,
    split_commands,
)


class Grade(IntEnum):
    SAFE = 0
    """Only reads."""
    UNKNOWN = 1
    """Could do anything that a program can."""
    DANGEROUS = 2
    """Known to change or delete, to reach out, or to gain rights."""
    DESTRUCTIVE = 3
    """Could lose what nobody can bring back."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of the command that earned a grade."""

    start: int
    end: int
    grade: Grade
    reason: str


@dataclass(frozen=True, slots=True)
class Grading:
    grade: Grade
    spans: tuple[Span, ...] = ()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Not here, because an argument or a hostile repository's config can make them write or run things:
# git, sed, awk, sort, uniq, tree, file, env, less.
_READERS = _names(
    "[ basename cat cd cmp column comm cut date df diff dirname du echo expr false grep head "
    "hexdump id ls md5sum nl od paste printf ps pwd readlink realpath sha256sum stat "
    "strings tac tail test tr true type uname wc which whoami"
)
_DANGEROUS = {
    **dict.fromkeys(_names("rm rmdir unlink truncate mv install ln"), "removes or replaces files"),
    **dict.fromkeys(_names("chmod chown chgrp setfacl"), "changes who may do what"),
    **dict.fromkeys(_names("kill pkill killall"), "ends processes"),
    **dict.fromkeys(_names("sudo su doas pkexec"), "gains rights"),
    **dict.fromkeys(_names("curl wget nc ncat ssh scp sftp rsync ftp telnet"), "reaches out"),
    **dict.fromkeys(_names("apt apt-get yum dnf apk snap brew"), "changes the system"),
    **dict.fromkeys(_names("docker podman systemctl service crontab mount"), "changes the system"),
    **dict.fromkeys(_names("eval source . exec"), "runs text that is not shown here"),
}
_DESTRUCTIVE = {
    **dict.fromkeys(_names("mkfs wipefs shred fdisk parted sgdisk dd"), "overwrites a device"),
    **dict.fromkeys(_names("shutdown reboot halt poweroff"), "stops the machine"),
}
_WRAPPERS = _names("sudo doas env xargs nohup time timeout nice stdbuf command builtin exec setsid")
_SHELLS = _names("bash sh dash zsh ksh")
_KEYWORDS = _names("if then elif else while until do ! { time")
_GIT_DANGEROUS = _names("push reset clean rebase filter-branch gc checkout restore rm")
_FORK_BOMB = re.compile(r"(\w+|:)\s*\(\)\s*\{[^}]*\1\s*\|\s*\1")
_WIDE_TARGET = re.compile(r"/|/\*|~/?\*?|\$\{?HOME\}?/?\*?|\.\.?/?|\*|\.\*|(/[\w.*-]+){1,2}/?")
"""Targets of a recursive removal that reach beyond one folder of a project."""
_SYSTEM_PATH = re.compile(r"/(?!dev/(null|stdout|stderr)$|tmp/)|~|\$\{?HOME")


def grade_command(command: str) -> Grading:
    """Grade the whole text by the worst of its parts."""
    if _FORK_BOMB.search(command):
        span = Span(0, len(command), Grade.DESTRUCTIVE, "starts itself without end")
        return Grading(Grade.DESTRUCTIVE, (span,))
    try:
        parts = split_commands(command)
    except UnreadableCommandError:
        span = Span(0, len(command), Grade.UNKNOWN, "too intricate to judge")
        return Grading(max(Grade.UNKNOWN, _worst_word(command)), (span,))
    spans = tuple(span for part in parts for span in _grade_part(part))
    return Grading(max((span.grade for span in spans), default=Grade.SAFE), spans)


def _worst_word(command: str) -> Grade:
    """For text that could not be split: whether a feared program is named anywhere in it."""
    words = set(re.findall(r"[\w.-]+", command))
    if words & _DESTRUCTIVE.keys():
        return Grade.DESTRUCTIVE
    return Grade.DANGEROUS if words & (_DANGEROUS.keys() - {"."}) else Grade.UNKNOWN


def _grade_part(part: SimpleCommand) -> list[Span]:
    spans = [_grade_write(target) for target in part.writes if target.text != "/dev/null"]
    words = part.words
    while words and words[0].text in _KEYWORDS:
        words = words[1:]
    while words and re.match(r"\w+=", words[0].text):  # FOO=bar command
        spans.append(Span(words[0].start, words[0].end, Grade.UNKNOWN, "sets a variable"))
        words = words[1:]
    if words:
        spans.extend(_grade_words(words, part.piped_from is not None))
    return [span for span in spans if span.grade > Grade.SAFE]


def _grade_write(target: Word) -> Span:
    if re.match(r"/dev/(?!null|std|tty|fd)", target.text):
        return Span(target.start, target.end, Grade.DESTRUCTIVE, "writes to a device")
    if _SYSTEM_PATH.match(target.text):
        return Span(target.start, target.end, Grade.DANGEROUS, "writes outside the project")
    return Span(target.start, target.end, Grade.UNKNOWN, "writes a file")


def _grade_words(words: list[Word], piped: bool) -> list[Span]:
    program = words[0].text.rpartition("/")[2]
    grade, reason = _grade_program(program, words[1:], piped)
    spans = [Span(words[0].start, words[-1].end, grade, reason)]
    if program in _WRAPPERS:
        spans.extend(_grade_wrapped(words[1:]))
    if program in _SHELLS and len(words) > 2 and words[1].text.endswith("c"):
        inner = grade_command(words[2].text)
        spans.append(Span(words[2].start, words[2].end, inner.grade, "runs this text"))
    return spans


def _grade_wrapped(words: list[Word]) -> list[Span]:
    """The command behind ``sudo``, ``timeout 5``, ``xargs -0`` and the like."""
    for index, word in enumerate(words):
        if not re.match(r"-|\w+=|\d", word.text):
            return _grade_words(words[index:], piped=False)
    return []


def _grade_program(program: str, words: list[Word], piped: bool) -> tuple[Grade, str]:
    arguments = [word.text for word in words]
    stem = program.partition(".")[0]
    if stem in _DESTRUCTIVE:
        return Grade.DESTRUCTIVE, _DESTRUCTIVE[stem]
    if program in {"rm", "chmod", "chown"} and _is_wide(arguments):
        return Grade.DESTRUCTIVE, "everything below a wide target"
    if program in _SHELLS and piped:
        return Grade.DANGEROUS, "runs what another command prints"
    if program == "git":
        return _grade_git(arguments)
    if program == "find":
        return _grade_find(arguments)
    if program in _DANGEROUS:
        return Grade.DANGEROUS, _DANGEROUS[program]
    if program in _READERS and not any(word.text.startswith("$(") for word in words):
        return Grade.SAFE, "only reads"
    return Grade.UNKNOWN, "could do anything"


def _is_wide(arguments: list[str]) -> bool:
    recursive = any(re.fullmatch(r"-\w*[rR]\w*|--recursive", argument) for argument in arguments)
    return recursive and any(_WIDE_TARGET.fullmatch(argument) for argument in arguments)


def _grade_git(arguments: list[str]) -> tuple[Grade, str]:
    verb = next((argument for argument in arguments if not argument.startswith("-")), "")
    forced = any(re.fullmatch(r"-f|--force\S*|\+\S+:\S+|--mirror", text) for text in arguments)
    if verb == "push" and forced:
        return Grade.DESTRUCTIVE, "replaces history elsewhere"
    if verb in _GIT_DANGEROUS:
        return Grade.DANGEROUS, "discards or publishes work"
    return Grade.UNKNOWN, "a repository's config can run programs"


def _grade_find(arguments: list[str]) -> tuple[Grade, str]:
    if "-delete" in arguments:
        wide = bool(arguments) and _WIDE_TARGET.fullmatch(arguments[0]) is not None
        grade = Grade.DESTRUCTIVE if wide and arguments[0] != "." else Grade.DANGEROUS
        return grade, "removes what it finds"
    if any(re.match(r"-(exec|ok|fprint|fls)", argument) for argument in arguments):
        return Grade.UNKNOWN, "runs a program on what it finds"
    return Grade.SAFE, "only reads"
