"""Shape a command's output for a model with a small window: clean, bounded, and never silently cut.

Numbers: 10,000 characters whole, else the first and last 5,000, as mini-SWE-agent does, which is
what Rnj-1's published agent score was measured with. Windows that are too small for that get less.
"""

from __future__ import annotations

import re

MAX_CHARS = 10_000
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[@-_]"
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def clean(output: str) -> str:
    """What a person would have seen at the end: no escape codes, no overwritten progress."""
    output = _ESCAPES.sub("", output).replace("\r\n", "\n")
    if "\r" in output:
        output = "\n".join(map(_last_state, output.split("\n")))
    return _UNPRINTABLE.sub("\ufffd", output)


def _last_state(line: str) -> str:
    """What stands on a line after its progress bar returned to the start for the last time."""
    return line.rstrip("\r").rpartition("\r")[2]


def is_long(output: str, max_chars: int = MAX_CHARS) -> bool:
    """Whether the model will not see all of it."""
    return len(output) > max_chars


def shorten(output: str, full_path: str, max_chars: int = MAX_CHARS) -> str:
    """Head and tail of a long output, with what is left out and where to read it.

    Args:
        output: cleaned text, longer than ``max_chars``.
        full_path: where the whole of it lies, readable by commands; empty if nowhere.
        max_chars: of head and tail together; at least 2.
    """
    head, tail = output[: max_chars // 2], output[-(max_chars // 2) :]
    num_gone = len(output) - len(head) - len(tail)
    where = f"; all of it is in {full_path}" if full_path else ""
    return f"{head}\n[{num_gone:,} characters left out here{where}]\n{tail}"
