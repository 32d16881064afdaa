"""What stays of an old result: what was learned from it, in a few lines.

A summary is never longer than the result, never longer than ``MAX_CHARS``, and says of itself that
something is left out. It holds nothing that could be taken for a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from rnj_agent.agent.aging.deeds import Deed
from rnj_agent.agent.wording import counted

MAX_CHARS: Final = 480
_LINE_CHARS: Final = 110
_NUM_LISTED: Final = 5
_NUM_CHANGED: Final = 3
_NOTE: Final = re.compile(r"\[.+\]")
"""A line of the agent's own: an exit code, a new folder, what the tests say."""
_EXIT: Final = re.compile(r"\[exit code (\d+).*\]|\[killed: .*\]")
_FAILURE: Final = re.compile(
    r"^E\s+\S|^\s*(?:[\w.]+\.)?\w*(?:Error|Exception|Panic)\b|^\s*(?:fatal )?error\b|: error\b"
    r"|\bpanicked at\b|^\s*--- FAIL|^not ok\b|^FAIL|^\s*[✗✕×●] |\bassert|No such file|not found",
    re.IGNORECASE,
)
_VERDICT: Final = re.compile(
    r"\b\d+ (?:tests? )?(?:passed|failed|passing|failing|errors?|failures?)\b"
    r"|^(?:OK|FAILED|FAIL|PASS|ok)\b|^test result:|^Tests:|^BUILD |^# (?:pass|fail) \d",
    re.IGNORECASE,
)
_HIT: Final = re.compile(r"([^\s:][^:\n]*):(?:\d+[:-])?")


def summary(deed: Deed, content: str, *, is_changed: bool = False) -> str:
    """The result in a few lines; the content itself where that is no longer.

    Args:
        deed: what the call did.
        content: what the model was told.
        is_changed: whether the file that was read was changed later.
    """
    body, notes = _parted(content.splitlines())
    exits = [note for note in notes if _EXIT.fullmatch(note)]
    others = [note for note in notes if note not in exits]
    last = [_cut(note) for note in (*exits[-1:], *others[-1:])]
    told = _told(deed, body, notes, is_changed)
    text = "\n".join([*_fitting(told, MAX_CHARS - sum(len(note) + 1 for note in last)), *last])
    return text if len(text) < len(content) else content


def one_line(content: str) -> str:
    """The beginning of a result that is older still; the content itself where that is no longer."""
    first = content.lstrip().partition("\n")[0]
    text = f"{first[:_LINE_CHARS]} [the rest is left out]"
    return text if len(text) < len(content) else content


def _told(deed: Deed, body: Sequence[str], notes: Sequence[str], is_changed: bool) -> list[str]:
    size = counted(len(body), "line")
    if deed.kind == "test":
        return [*_verdict(body), f"[{size} of test output, left out here]"]
    if deed.kind == "edit":
        changed = [line for line in body[1:] if line.startswith(("+", "-"))][:_NUM_CHANGED]
        tested = [*filter(_NOTE.fullmatch, body[1:]), *_verdict(body[1:])]
        return [*body[:1], *changed, *tested, _gone(body, 1)]
    if _has_failed(notes) or len(body) <= 1:
        return [*_errors(body), f"[{size} of output, left out here]"]
    match deed.kind:
        case "read":
            then = "It was changed later. " if is_changed else ""
            return [
                f"[{deed.path or 'A file'} was shown here, {size}. {then}Read it again if needed.]"
            ]
        case "list":
            return [*body[:_NUM_LISTED], _gone(body, _NUM_LISTED)]
        case "search":
            return _hits(body)
        case "other":
            return [*body[:2], f"[{size} of output, left out but for the first and last]", body[-1]]


def _parted(lines: list[str]) -> tuple[list[str], list[str]]:
    """What was shown, and the agent's own notes at its end."""
    end = len(lines)
    while end and _NOTE.fullmatch(lines[end - 1]):
        end -= 1
    return lines[:end], lines[end:]


def _has_failed(notes: Sequence[str]) -> bool:
    found = [match for note in notes if (match := _EXIT.fullmatch(note))]
    return any(match[1] != "0" for match in found)


def _errors(body: Sequence[str]) -> list[str]:
    """The last line that names an error, or the last one at all."""
    named = [line for line in body if _FAILURE.search(line)]
    return (named or [line for line in body if line.strip()])[-1:]


def _verdict(body: Sequence[str]) -> list[str]:
    """Of a test run: the first line that names a failure, and the last that sums up."""
    sums = [line for line in body if _VERDICT.search(line)]
    failures = [line for line in body if _FAILURE.search(line)]
    told = [*failures[:1], *sums[-1:]]
    return list(dict.fromkeys(told))


def _hits(body: Sequence[str]) -> list[str]:
    found = [match[1] for line in body if (match := _HIT.match(line))]
    files = list(dict.fromkeys(found))
    size = counted(len(body), "line")
    if not found or len(files) > len(body) // 2 + _NUM_LISTED:
        return [*body[:2], f"[{size} matched, left out but for the first]"]
    named = ", ".join(files[:_NUM_LISTED])
    more = f" and {len(files) - _NUM_LISTED} more" if len(files) > _NUM_LISTED else ""
    return [f"[{size} matched, in {named}{more}; left out here]"]


def _gone(body: Sequence[str], num_kept: int) -> str:
    return f"[{counted(max(0, len(body) - num_kept), 'more line')}, left out here]"


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]} […]"


def _fitting(lines: Iterable[str], num_chars: int) -> list[str]:
    """Those that fit, the last one before all: it says what is left out."""
    kept: list[str] = []
    for line in reversed(list(map(_cut, lines))):
        num_chars -= len(line) + 1
        if num_chars >= 0:
            kept.insert(0, line)
    return kept
