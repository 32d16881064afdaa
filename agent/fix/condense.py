"""The part of a test run's output that tells what is wrong: the first failure, and the end."""

from __future__ import annotations

import re

from rnj_agent.tools.output import clean

_FAILURES = re.compile(
    r"^(?:=+ (?:FAILURES|ERRORS) =+|_{3,} .* _{3,}"  # pytest
    r"|(?:FAIL|ERROR): |Traceback \(most recent call last\)"  # unittest, any Python
    r"|\s*--- FAIL|panic: |FAIL\s"  # go
    r"|\s*● .*|not ok \d|\s+\d+\) "  # jest, TAP, mocha
    r"|error(?:\[\w+\])?: |.*: (?:fatal )?error: "  # rustc, cc
    r"|thread '.*' panicked|.*\bAssertionError\b)",
    re.MULTILINE,
)
_TAIL_SHARE = 0.3


def condense(output: str, max_chars: int) -> str:
    """At most about ``max_chars`` of it: all, or the first failure and the last lines."""
    text = clean(output).strip("\n")
    if len(text) <= max_chars:
        return text
    tail = _cut_at_line(text[-int(max_chars * _TAIL_SHARE) :], from_start=True)
    found = _FAILURES.search(text)
    start = min(found.start() if found else 0, len(text) - max_chars)
    head = _cut_at_line(text[start : start + max_chars - len(tail)], from_start=False)
    left_out = len(text) - start - len(head) - len(tail)
    before = f"[{start:,} characters before this]\n" if start else ""
    return f"{before}{head}\n[{left_out:,} characters left out here]\n{tail}"


def _cut_at_line(text: str, *, from_start: bool) -> str:
    """Without the torn line at one end, unless there is nothing else."""
    if from_start:
        return text.split("\n", 1)[-1]
    return text.rsplit("\n", 1)[0]
