"""What a test script printed, taken apart: the tests' own output and their status."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rnj_agent.agent.swebench.evaluation.script import END_MARK, EXIT_MARK, START_MARK

_EXIT_CODE: Final = re.compile(rf"^{re.escape(EXIT_MARK)}: (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLog:
    whole: str
    tests: str | None
    """Between the marks; None: the script did not come to its end."""
    exit_code: int | None
    """Of the test command; None where the script does not say."""


def read_log(text: str) -> ScriptLog:
    """The first start, the last end and the last status count: tests can print such lines, too."""
    start, end = text.find(START_MARK), text.rfind(END_MARK)
    codes = _EXIT_CODE.findall(text)
    return ScriptLog(
        whole=text,
        tests=text[start + len(START_MARK) : end] if 0 <= start < end else None,
        exit_code=int(codes[-1]) if codes else None,
    )
