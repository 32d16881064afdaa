"""The part of a test run's output that tells what is wrong: the first failure, and the end.

One failure is shown where there are many: a small model that sees two works on the last one.
"""

from __future__ import annotations

import re

from rnj_agent.tools.output import clean

_FAILURES = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^_{3,} .* _{3,}$",  # pytest
        r"^(?:FAIL|ERROR): ",  # unittest
        r"^\s*--- FAIL|^panic: ",  # go
        r"^\s*● .*|^not ok \d|^\s+\d+\) ",  # jest, TAP, mocha
        r"^error(?:\[\w+\])?: |^.*: (?:fatal )?error: ",  # rustc, cc
        r"^thread '.*' panicked",  # rust
        r"^Traceback \(most recent call last\)",  # any Python
        r"\bAssertionError\b|^FAIL\s",
    )
)
"""What a failure begins with, most telling first: one runner's output has one of these forms."""
_RULE = re.compile(r"^[=-]{3}.*$", re.MULTILINE)
_TAIL_CHARS = 400
"""Of the end, where test runners sum up."""
_TAIL_LINES = 4


def condense(output: str, max_chars: int) -> str:
    """At most about ``max_chars`` of it: the first failure and the last lines, or all."""
    text = clean(output).strip("\n")
    start, end = _first_failure(text)
    tail = _summary(text)
    if end - start + len(tail) > max_chars:
        end = start + max(0, max_chars - len(tail))
        end = start + len(_cut_at_line(text[start:end], from_start=False))
    tail_start = len(text) - len(tail)
    if start == 0 and end == len(text):
        return text
    left_out = tail_start - end
    before = f"[{start:,} characters before this]\n" if start else ""
    if left_out <= 0:
        return f"{before}{text[start:]}"
    head = text[start:end].rstrip("\n")
    return f"{before}{head}\n[{left_out:,} characters left out here]\n{tail}"


def _first_failure(text: str) -> tuple[int, int]:
    """Where it begins and ends; all of the text if nothing looks like one."""
    for pattern in _FAILURES:
        found = pattern.search(text)
        if found is not None:
            following = pattern.search(text, found.end())
            return found.start(), following.start() if following else len(text)
    return 0, len(text)


def _summary(text: str) -> str:
    """What stands below the last rule of the output, or its last lines."""
    tail = _cut_at_line(text[-_TAIL_CHARS:], from_start=True)
    rules = list(_RULE.finditer(tail))
    if rules:
        return tail[rules[-1].start() :]
    return "\n".join(tail.split("\n")[-_TAIL_LINES:])


def _cut_at_line(text: str, *, from_start: bool) -> str:
    """Without the torn line at one end, unless there is nothing else."""
    if from_start:
        return text.split("\n", 1)[-1]
    return text.rsplit("\n", 1)[0]
