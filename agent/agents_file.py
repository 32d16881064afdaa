"""The repository's own AGENTS.md: what its people tell every agent, as text for the system prompt.

It is data from whoever wrote the repository: it is read as text, bounded, and decides nothing. Not
read: other agents' files, AGENTS.md of folders below, and whatever is not copied into the sandbox.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rnj_agent.agent.wording import counted, printable

AGENTS_MD: Final = "AGENTS.md"
MAX_TOKENS: Final = 2_000
_WINDOW_SHARE: Final = 8
"""At most this part of the model's window: every step carries it."""
_CHARS_PER_TOKEN: Final = 3
"""A low guess, for text that is about to be shortened."""
_MAX_READ_BYTES: Final = 256 * 1024

_MARKUP: Final = re.compile(
    r"<(?=\||/?(?:s|bos|eos|pad|unk|mask|image|think|agents_md|start_of_turn|end_of_turn"
    r"|begin_of_text|tool_call|tool_response|tools|tool|function|parameter)\b)",
    re.IGNORECASE,
)
"""What servers or parsers could take for their own marks, or for the end of the file."""
_QUOTED: Final = re.compile(r"<agents_md>\n(.*?)\n</agents_md>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsFile:
    text: str
    """As the model is told."""
    num_lines: int
    """Of the whole file."""
    num_left_out: int = 0
    """Lines at its end that the model is not told."""

    def __str__(self) -> str:
        """Such as ``AGENTS.md: 34 lines``."""
        whole = f"{AGENTS_MD}: {counted(self.num_lines, 'line')}"
        if not self.num_left_out:
            return whole
        return f"{whole}, of which the model is told {self.num_lines - self.num_left_out:,}"


def read_agents_file(root: Path, *, context_window: int) -> AgentsFile | None:
    """The file at the root of a repository; None where there is none that can be read.

    Args:
        root: the repository's folder.
        context_window: tokens of the model, which bound how much of the file it is told.
    """
    data = _read_regular(root / AGENTS_MD)
    if data is None:
        return None
    text = printable(data.decode("utf-8", "replace").replace("\r\n", "\n")).strip()
    if not text:
        return None
    max_tokens = min(MAX_TOKENS, context_window // _WINDOW_SHARE)
    return _bounded(_MARKUP.sub("< ", text), max_tokens * _CHARS_PER_TOKEN)


def told_in(system_prompt: str) -> AgentsFile | None:
    """What a system prompt that was rendered earlier tells of the file."""
    found = _QUOTED.search(system_prompt)
    if found is None:
        return None
    return AgentsFile(text=found[1], num_lines=found[1].count("\n") + 1)


def _read_regular(path: Path) -> bytes | None:
    """A link could lead out of the repository, and a FIFO would be waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return file.read(_MAX_READ_BYTES)
    except OSError:
        return None


def _bounded(text: str, max_chars: int) -> AgentsFile:
    lines = text.split("\n")
    kept, num_chars = 0, 0
    while kept < len(lines) and num_chars + len(lines[kept]) + 1 <= max_chars:
        num_chars += len(lines[kept]) + 1
        kept += 1
    left_out = len(lines) - kept
    if not left_out:
        return AgentsFile(text=text, num_lines=len(lines))
    told = [*lines[:kept], f"[{counted(left_out, 'more line')}: cat {AGENTS_MD}]"]
    return AgentsFile(text="\n".join(told), num_lines=len(lines), num_left_out=left_out)
