"""What the model is told when its submission is not good yet: the evidence, in few lines."""

from __future__ import annotations

NOTHING_CHANGED = (
    "Nothing is changed yet, so there is nothing to submit. Find the code that the issue is about "
    "and change it first."
)


def tests_fail(command: str, evidence: str) -> str:
    return f"Not accepted: the tests still fail. `{command}` says:\n{evidence}"


def original_tests_fail(named: str, evidence: str) -> str:
    return (
        f"Not accepted: the tests pass only because {named} was changed. Put that back and fix the "
        f"code instead. With the original tests:\n{evidence}"
    )


def unusable(why: str) -> str:
    return f"Not accepted: the change cannot be taken out as a patch. {why}"
