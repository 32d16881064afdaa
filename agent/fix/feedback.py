"""What the model is told when its submission is not good yet: the evidence, in few lines."""

from __future__ import annotations

NOTHING_CHANGED = (
    "Nothing is changed yet, so there is nothing to submit. Find the code that the issue is about "
    "and change it first."
)

NO_FILE_CHANGED = "[No file has changed.]"


def tests_pass(command: str) -> str:
    return f"[The tests pass now: `{command}`. Submit if the issue is fixed.]"


def tests_fail_now(command: str, evidence: str) -> str:
    return f"[After this change `{command}` says:]\n{evidence}"


def tests_fail(command: str, evidence: str) -> str:
    return f"Not accepted: the tests still fail. `{command}` says:\n{evidence}"


def original_tests_fail(named: str, evidence: str) -> str:
    return (
        f"Not accepted: the tests pass only because {named} was changed. Put that back and fix the "
        f"code instead. With the original tests:\n{evidence}"
    )


def unusable(why: str) -> str:
    return f"Not accepted: the change cannot be taken out as a patch. {why}"
