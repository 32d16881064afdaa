"""What the model is told of its work: the evidence, in few lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rnj_agent.agent.fix.syntax_check import BrokenFile

NOTHING_CHANGED: Final = (
    "Nothing is changed yet, so there is nothing to submit. Find the code that the issue is about "
    "and change it first."
)
NO_FILE_CHANGED: Final = "[No file has changed.]"
AS_AT_FIRST: Final = "[The files are as they were before any change.]"
NOT_ACCEPTED: Final = "Not accepted:"
_MAX_BROKEN: Final = 3


def tests_pass(command: str) -> str:
    return f"[The tests pass now: `{command}`. Submit if the issue is fixed.]"


def tests_fail_now(command: str, progress: str, evidence: str) -> str:
    """``progress``: what changed since before, in words; may be empty."""
    return f"[After this change `{command}` fails{_with(progress)}:]\n{evidence}"


def tests_fail(command: str, progress: str, evidence: str) -> str:
    return f"{NOT_ACCEPTED} `{command}` fails{_with(progress)}:\n{evidence}"


def original_tests_fail(named: str, evidence: str) -> str:
    return (
        f"{NOT_ACCEPTED} the tests pass only because {named} was changed. Put that back and "
        f"fix the code instead. With the original tests:\n{evidence}"
    )


def unusable(why: str) -> str:
    return f"{NOT_ACCEPTED} the change cannot be taken out as a patch. {why}"


def syntax_errors(broken: Sequence[BrokenFile]) -> str:
    """A line for each of the first errors; empty where there is none."""
    found = [(file.path, problem) for file in broken for problem in file.problems]
    lines = [
        f"[Your change broke the syntax of {path}: line {problem.line}"
        f"{_with(problem.reason)}: {problem.text}]"
        for path, problem in found[:_MAX_BROKEN]
    ]
    return "\n".join(lines)


def _with(more: str) -> str:
    return f" ({more})" if more else ""
