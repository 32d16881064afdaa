"""How much of the model's window each part of a prompt may take, in characters.

Bounds for text that is about to be shortened, before anything is counted: what is counted, and what
becomes of a prompt that is too large all the same, is ``context``.

| part | of the window | at 4,096 tokens | at 32,768 |
|---|---|---|---|
| the reply, kept free | 1/4, at most ``model.max_tokens`` | 1,024 tokens | 2,048 tokens |
| the first message in all | 5/16 | 3,840 characters | 30,720 characters |
| the issue in it | 1/4 | 3,072 | 24,576 |
| the names of files in it | 1/16 | 768 | 6,144 |
| AGENTS.md (``agents_file``) | 1/8, at most 2,000 tokens | 1,536 | 6,000 |
| one command's output | 1/8, at most 10,000 characters | 1,536 | 10,000 |
| one test run's evidence | 1/8, at most 2,000 characters | 1,536 | 2,000 |

The system prompt with the schemas of three tools takes about 700 tokens more. So the worst case
still leaves a 4K window room for one full result, and more where a part takes less than its bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rnj_agent.tools.output import MAX_CHARS

CHARS_PER_TOKEN: Final = 3
"""A low guess for English and code."""
MAX_EVIDENCE_CHARS: Final = 2_000
"""Enough for one failure."""


def first_message_chars(context_window: int) -> int:
    """Of the first user message, with everything that it shows; the window is in tokens."""
    return context_window * CHARS_PER_TOKEN * 5 // 16


def issue_chars(context_window: int) -> int:
    return context_window * CHARS_PER_TOKEN // 4


def listing_chars(context_window: int) -> int:
    """Of the names of files in the first message."""
    return context_window * CHARS_PER_TOKEN // 16


def result_chars(context_window: int) -> int:
    """Of one command's output, as it is told."""
    return min(MAX_CHARS, max(2, context_window * CHARS_PER_TOKEN // 8))


def evidence_chars(context_window: int) -> int:
    """Of what a failed test run printed, as it is told."""
    return min(MAX_EVIDENCE_CHARS, result_chars(context_window))


def fitted(text: str, max_chars: int) -> str:
    """Beginning and end of a long text, with a line that says what is left out.

    A character that takes several bytes counts for as many: it takes more tokens, too.
    """
    num_bytes = len(text.encode("utf-8", "replace"))
    if num_bytes <= max_chars:
        return text
    most = max_chars * len(text) // num_bytes
    head, tail = text[: most * 2 // 3], text[len(text) - most // 3 :]
    return f"{head}\n[{len(text) - len(head) - len(tail):,} characters left out here]\n{tail}"


def leading(paths: Iterable[str], max_chars: int) -> list[str]:
    """As many of them as fit, from the first on."""
    kept: list[str] = []
    for path in paths:
        max_chars -= len(path) + len(", ")
        if max_chars < 0:
            break
        kept.append(path)
    return kept
